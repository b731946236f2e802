"""Steps and the business action of the shipped flow about appointments."""

from __future__ import annotations

from typing import Any

from apps.customer_service.services.flows.order_steps import field

__all__ = ["APPOINTMENT_BOOK", "VISIT_STEPS"]

APPOINTMENT_BOOK: dict[str, Any] = {
    "name": "appointment_book",
    "description": "Books a visit.",
    "changes_something": True,
    "parameters": {
        "reason": field("string", "advice, repair or pick-up."),
        "day": field("date", "The day that the customer wants."),
        "part_of_day": field("string", "morning, afternoon or evening."),
        "phone": field("string", "To tell the customer of a change."),
    },
    "results": {
        "appointment_number": field("string", "Number of the appointment."),
        "time": field("string", "When exactly, such as 10:30.", required=False),
    },
}


def _option(value: str, english: str, chinese: str, *words: str) -> dict[str, Any]:
    return {"value": value, "label": {"en": english, "zh": chinese}, "words": list(words)}


VISIT_STEPS: list[dict[str, Any]] = [
    {
        "id": "reason",
        "kind": "choose",
        "slot": "reason",
        "text": {"en": "What would you like to come for?", "zh": "请问您想预约什么服务？"},
        "options": [
            _option("advice", "Advice", "咨询", "consultation", "看看", "了解"),
            _option("repair", "Repair", "维修", "mend", "fix", "修理", "修一下"),
            _option("pick-up", "Pick-up", "取货", "collect", "自提", "取东西"),
        ],
        "next": "day",
    },
    {
        "id": "day",
        "kind": "ask",
        "slot": "day",
        "type": "date",
        "when": "future",
        "text": {"en": "Which day suits you?", "zh": "您希望哪一天来？"},
        "invalid": {
            "en": "Please give me a day from today on, such as tomorrow or 20 November.",
            "zh": "请告诉我今天或以后的日期，例如明天，或者11月20日。",
        },
        "next": "part",
    },
    {
        "id": "part",
        "kind": "choose",
        "slot": "part_of_day",
        "text": {"en": "At what time of the day?", "zh": "什么时间段方便？"},
        "options": [
            _option("morning", "Morning", "上午", "早上", "before noon"),
            _option("afternoon", "Afternoon", "下午", "中午以后", "after noon"),
            _option("evening", "Evening", "晚上", "傍晚"),
        ],
        "next": "phone",
    },
    {
        "id": "phone",
        "kind": "ask",
        "slot": "phone",
        "type": "phone",
        "text": {
            "en": "Under which phone number can we reach you?",
            "zh": "请留一个方便联系您的电话。",
        },
        "invalid": {
            "en": "That does not look like a phone number. With the area code, please.",
            "zh": "这不像是电话号码，请填写手机号，座机请加区号。",
        },
        "next": "book",
    },
    {
        "id": "book",
        "kind": "call",
        "action": "appointment_book",
        "arguments": {
            "reason": "$reason",
            "day": "$day",
            "part_of_day": "$part_of_day",
            "phone": "$phone",
        },
        "into": "booked",
        "confirm": {
            "en": "Shall I book {day}, {part_of_day} ({reason})? We can reach you under {phone}.",
            "zh": "确认预约{day}{part_of_day}（{reason}）吗？联系电话 {phone}。",
        },
        "next": "exactly",
        "on_failure": "refused",
    },
    {
        "id": "exactly",
        "kind": "branch",
        "cases": [{"when": [{"value": "booked.time", "is": "exists"}], "next": "at-time"}],
        "otherwise": "booked",
    },
    {
        "id": "at-time",
        "kind": "done",
        "text": {
            "en": "Booked: {day} at {booked.time}. Your appointment number is {booked.appointment_number}.",
            "zh": "预约成功：{day} {booked.time}，预约号 {booked.appointment_number}。",
        },
    },
    {
        "id": "booked",
        "kind": "done",
        "text": {
            "en": "Booked: {day}, {part_of_day}. Your appointment number is {booked.appointment_number}.",
            "zh": "预约成功：{day}{part_of_day}，预约号 {booked.appointment_number}。",
        },
    },
    {
        "id": "refused",
        "kind": "hand-off",
        "reason": "appointment-refused",
        "text": {
            "en": "That could not be booked: {booked.problem}. I am bringing in a colleague.",
            "zh": "预约没有成功：{booked.problem}。马上为您转接同事。",
        },
    },
]
