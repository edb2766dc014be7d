"""The addresses of rules."""

from __future__ import annotations

from django.urls import path

from bihuan.policy import adoption_pages, rules_pages

urlpatterns = [
    path("rules", rules_pages.rules, name="rules"),
    path("rules/packs", rules_pages.library),
    path("rules/pack", rules_pages.one),
    path("rules/diff", rules_pages.diff),
    path("rules/adopt", adoption_pages.adopt),
    path("rules/adoptions/<int:adoption>/end", adoption_pages.end),
    path("rules/event", rules_pages.choose_event),
    path("rules/proposals/<int:proposal>", adoption_pages.proposal),
    path("rules/proposals/<int:proposal>/approve", adoption_pages.approve),
    path("rules/proposals/<int:proposal>/refuse", adoption_pages.refuse),
]
