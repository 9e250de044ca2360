"""The classroom: hand out the exercises, collect, grade and give back, with nbgrader's folders and grade book.

What a student hands in is code of a stranger. It runs in a process of its own that sees the course without the
solutions, nothing of the class, and no network (:mod:`course.classroom.confinement`); what it answers comes back as
plain data, and is judged here (:mod:`course.classroom.grading`). The command is ``course assignment``.
"""
