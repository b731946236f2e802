"""The assistant's settings in a browser: changed, a channel apart, a tuning watched and taken into use; sound on every
screen."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from apps.customer_service.models import EvaluationQuestion
from apps.customer_service.selectors.answering import assistant_get
from apps.customer_service.services.tuning import TUNE_JOB
from rootstock.jobs.models import Job
from rootstock.tenancy.models import Organisation, Role
from rootstock.tenancy.scope import organisation_scope
from tests.e2e.customer_service.desk_world import Shop, picture
from tests.e2e.customer_service.test_desk_pages_browser import SCREENS, sound

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(300)]
PAGE = "/service/settings/assistant/"
REPORT = {
    "questions": [52, 48],
    "weight": {"before": 0.6, "after": 0.35},
    "threshold": {"before": 0.8, "after": 0.71},
    "ranking": {
        "before": {"recall@1": 0.5, "recall@5": 0.75, "mrr@10": 0.6, "mean": 0.62},
        "after": {"recall@1": 0.75, "recall@5": 0.9, "mrr@10": 0.8, "mean": 0.82},
        "gain": [0.2, 0.05, 0.3],
    },
    "direct": {"questions": 31, "before": [12, 12], "after": [24, 23]},
}


def questions(organisation: Organisation) -> None:
    with organisation_scope(organisation.pk):
        for number in range(20):
            EvaluationQuestion.objects.create(question=f"Question {number}?", intents=["x"])


def ended(organisation: Organisation) -> None:
    """What a worker would have done."""
    with organisation_scope(organisation.pk):
        Job.objects.filter(kind=TUNE_JOB).update(
            state="succeeded", result=REPORT, finished_at=timezone.now()
        )


def test_settings_a_channel_apart_and_tuning(
    sign_in: Any, shop: Shop, address: str, organisation: Organisation
) -> None:
    page = sign_in("Mia", Role.MANAGER)
    page.goto(f"{address}{PAGE}")
    page.get_by_label("Give a prepared answer from this match on").fill("0.7")
    page.get_by_label("Telephone numbers").uncheck()
    page.get_by_label("Blocked words").fill("casino\n赌博")
    page.keyboard.press("Tab")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Saved. The next answer is given by it.").wait_for()
    with organisation_scope(organisation.pk):
        saved = assistant_get()
        assert (saved.template_threshold, saved.unmasked) == (0.7, ["PHONE"])
        assert saved.blocked_words == ["casino", "赌博"]

    page.get_by_label("Settings of").select_option(label="Shop")
    page.get_by_text("This channel follows the organisation.").wait_for()
    page.get_by_label("Answer greetings, thanks and goodbyes").uncheck()
    page.get_by_role("button", name="Save").click()
    page.get_by_text("This channel has settings of its own.").wait_for()
    page.get_by_role("button", name="Follow the organisation again").click()
    page.get_by_text("This channel follows the organisation.").wait_for()

    page.get_by_role("link", name="Tuning", exact=True).click()
    page.get_by_text("More questions are needed").wait_for()
    questions(organisation)
    page.reload()
    page.get_by_role("button", name="Tune", exact=True).click()
    page.locator("#tuning-progress", has_text="Waiting for a free worker").wait_for()
    ended(organisation)
    # It notices by itself.
    page.get_by_text("found better by 20.0 points").wait_for()
    page.get_by_role("button", name="Take it into use").click()
    page.get_by_text("Visitors are answered by it.", exact=False).first.wait_for()
    with organisation_scope(organisation.pk):
        assert assistant_get().vector_weight == 0.35
    assert page.errors == []


@pytest.mark.parametrize("screen", SCREENS)
def test_pages_are_sound_on_every_screen(
    sign_in: Any, shop: Shop, address: str, organisation: Organisation, screen: str
) -> None:
    page = sign_in("Mia", Role.MANAGER, **SCREENS[screen])
    for name, path in (
        ("settings", ""),
        ("channel", f"?channel={shop.channel.pk}"),
        ("tuning-few", "tuning/"),
    ):
        page.goto(f"{address}{PAGE}{path}")
        sound(page)
        picture(page, f"assistant-{name}-{screen}", whole=True)
    questions(organisation)
    page.goto(f"{address}{PAGE}tuning/")
    page.locator("form[action$='/tuning/run/'] button").click()
    page.locator("#tuning-progress").wait_for()
    sound(page)
    picture(page, f"assistant-tuning-running-{screen}", whole=True)
    ended(organisation)
    # It loads itself anew.
    page.locator("#figures").wait_for()
    page.wait_for_load_state("load")
    sound(page)
    picture(page, f"assistant-tuning-{screen}", whole=True)
