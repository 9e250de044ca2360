"""A review and a prediction in JupyterLab, by the keyboard alone."""

import nbformat
import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

YESTERDAY = """from datetime import timedelta
from unittest.mock import patch
from course import predict, review
from course.practice import journal

yesterday = journal.now() - timedelta(days=1)
with patch.object(journal, "now", lambda: yesterday):
    predict("05.P1", "Three threads need 12 units. And four?", choices=["less", "more"]).commit("less")
    predict.outcome("05.P1", "more", reason="the long task starts later")
    predict("05.P2", "How many rounds?", number=True, unit="rounds").commit(3)
    predict.outcome("05.P2", 4, reason="three workers get four")"""
PREDICT = 'predict("05.P3", "Which waits less?", choices=["one fast server", "two slow ones"])'


def notebook(*sources):
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])


def test_a_review_by_the_keyboard(open_notebook):
    opened = open_notebook(notebook(YESTERDAY, "review(seed=1)", PREDICT))
    opened.run_all()
    assert opened.errors() == []
    page, panel = opened.page, opened.panel
    review = panel.locator(".jp-OutputArea-output .widget-vbox", has_text="Review: 2 questions").first
    review.wait_for()
    page.wait_for_timeout(1000)  # JupyterLab moves the focus to the last cell that it ran
    review.locator("input").first.focus()
    for question in ("How many rounds?", "Three threads need 12 units"):  # the seed decides
        review.get_by_text(question).wait_for()
        if question.startswith("How many"):
            page.keyboard.type("7")
        else:
            review.locator("input[type=radio]").nth(1).wait_for()
            for key in ("Shift+Tab", "Shift+Tab", "Space", "Tab"):  # each choice is a stop of its own
                page.keyboard.press(key)
        page.keyboard.press("Tab")
        expect(review.get_by_role("button", name="That is my answer")).to_be_focused()
        page.keyboard.press("Enter")
        review.get_by_text("not right: what did you assume?").wait_for()
        review.get_by_text("Read again: 2-concepts/05-scheduling-model.ipynb").wait_for()
        expect(review.get_by_role("button", name="Go on")).to_be_focused()
        page.keyboard.press("Enter")
    review.get_by_text("0 of 2 right. What was wrong comes again tomorrow.").wait_for()

    prediction = panel.locator(".jp-OutputArea-output .widget-vbox", has_text="Predict before you look").first
    prediction.locator("input[type=radio]").first.focus()
    for key in ("Tab", "Space", "Tab", "Enter"):
        page.keyboard.press(key)
    prediction.get_by_text("Your answer is kept: two slow ones").wait_for()
