"""Flows to begin with, in English and Chinese: order status, refund request, change of address, appointment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from apps.customer_service.services.flows.order_steps import (
    ADDRESS_CHANGE,
    ADDRESS_STEPS,
    ORDER_STATUS,
    REFUND_REQUEST,
    REFUND_STEPS,
    STATUS_STEPS,
)
from apps.customer_service.services.flows.visit_steps import APPOINTMENT_BOOK, VISIT_STEPS

__all__ = ["TEMPLATES", "Template"]


@dataclass(frozen=True)
class Template:
    """A flow as it is shipped, with the business actions that it calls."""

    name: str | Promise
    description: str | Promise
    intents: Sequence[str]
    phrases: Sequence[str]
    definition: Mapping[str, Any]
    actions: Sequence[Mapping[str, Any]]


def _definition(steps: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "version": 1,
        "languages": ["en", "zh"],
        "start": steps[0]["id"],
        "steps": steps,
    }


TEMPLATES: dict[str, Template] = {
    "order-status": Template(
        _("Order status"),
        _("Asks for the order number, looks the order up and says where it is."),
        ("order-status", "order_status", "track_order", "delivery_status"),
        (
            "where is my order", "track my order", "order status", "status of my order", "where's my order",
            "has my order shipped",
            "我的订单到哪了", "订单到哪", "查订单", "查一下订单", "订单状态", "物流到哪", "我的快递到哪",
        ),
        _definition(STATUS_STEPS),
        (ORDER_STATUS,),
    ),
    "refund-request": Template(
        _("Refund request"),
        _("Checks the order, asks why and since when, confirms, and requests the refund once."),
        ("refund-request", "refund_request", "request_refund", "get_refund"),
        (
            "i want a refund", "request a refund", "get a refund for", "want my money back", "refund my order",
            "refund for my order", "i'd like a refund",
            "我要退款", "申请退款", "我想退款", "要求退款", "帮我退款", "给我退款",
        ),
        _definition(REFUND_STEPS),
        (ORDER_STATUS, REFUND_REQUEST),
    ),
    "address-change": Template(
        _("Change of address"),
        _("Checks that the order has not left, asks for the new address, confirms, and changes it."),
        ("address-change", "address_change", "change_shipping_address", "set_up_shipping_address"),
        (
            "change my address", "change the address", "change the delivery address", "change my delivery address",
            "change the shipping address", "wrong address", "send it to another address",
            "改地址", "修改地址", "换个地址", "地址写错", "地址填错", "修改收货地址", "更改收货地址",
        ),
        _definition(ADDRESS_STEPS),
        (ORDER_STATUS, ADDRESS_CHANGE),
    ),
    "appointment": Template(
        _("Appointment"),
        _("Asks what for, which day and when, confirms, and books a visit."),
        ("appointment", "book_appointment", "schedule_appointment"),
        (
            "book an appointment", "make an appointment", "schedule an appointment", "book a visit",
            "arrange a visit", "i'd like an appointment",
            "我要预约", "我想预约", "帮我预约", "预约一下", "预约到店", "预约上门",
        ),
        _definition(VISIT_STEPS),
        (APPOINTMENT_BOOK,),
    ),
}  # fmt: skip
