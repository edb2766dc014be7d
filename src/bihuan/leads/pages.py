"""The addresses of leads."""

from __future__ import annotations

from django.urls import path

from bihuan.leads import (
    bulk_pages,
    call_pages,
    conflict_pages,
    correct_pages,
    find_pages,
    lead_pages,
    list_pages,
    people_pages,
    step_pages,
    support_pages,
    work_pages,
)

urlpatterns = [
    path("duties", work_pages.my_work, name="work"),
    path("units/below", work_pages.units_below),
    *(path(f"duties/{verb}", work_pages.move, {"verb": verb}) for verb in ("accept", "assign", "return", "decline", "reassign")),
    path("undo/<uuid:act>", work_pages.undo),
    path("lists", list_pages.lists, name="lists"),
    path("lists/return", list_pages.come_back),
    path("lists/<int:number>", list_pages.one),
    path("lists/<int:number>/plan", list_pages.plan),
    path("lists/<int:number>/paper", list_pages.on_paper),
    path("lists/<int:number>/workbook", list_pages.workbook),
    path("plans/<uuid:act>", bulk_pages.plan),
    path("leads/<uuid:lead>", lead_pages.lead_page, name="lead"),
    path("leads/<uuid:lead>/act", call_pages.act),
    path("leads/<uuid:lead>/call", call_pages.call),
    path("leads/<uuid:lead>/unmask", lead_pages.unmask),
    path("leads/<uuid:lead>/correct", correct_pages.correct),
    *(path(f"leads/<uuid:lead>/{name}", step_pages.step, {"name": name}) for name in step_pages.STEPS),
    path("support", support_pages.ask),
    path("support/back", support_pages.take_back),
    path("support/<int:loop>", support_pages.answer),
    path("conflicts", conflict_pages.listed),
    path("conflicts/<uuid:conflict>", conflict_pages.settle),
    path("people", find_pages.find, name="people"),
    path("people/elsewhere", find_pages.elsewhere),
    path("people/same/<uuid:a>/<uuid:b>", people_pages.same),
]
