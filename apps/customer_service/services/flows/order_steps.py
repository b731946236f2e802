"""Steps and business actions of the shipped flows about orders."""

from __future__ import annotations

from typing import Any

__all__ = [
    "ADDRESS_CHANGE",
    "ADDRESS_STEPS",
    "ORDER_STATUS",
    "REFUND_REQUEST",
    "REFUND_STEPS",
    "STATUS_STEPS",
]


def field(kind: str, description: str, *, required: bool = True) -> dict[str, Any]:
    """A parameter or a result of an action."""
    return {"type": kind, "description": description, "required": required}


ORDER_STATUS: dict[str, Any] = {
    "name": "order_status",
    "description": "Where an order is.",
    "changes_something": False,
    "parameters": {"order_number": field("string", "Such as JP20001234.")},
    "results": {
        "status": field("string", "processing, shipped, delivered or cancelled."),
        "carrier": field("string", "Who brings it.", required=False),
        "tracking_number": field("string", "The carrier's number.", required=False),
        "expected_on": field("date", "When it is expected.", required=False),
        "delivered_on": field("date", "When it was delivered.", required=False),
        "refundable": field("boolean", "Whether money can be paid back.", required=False),
        "total": field("string", "What was paid, with its currency.", required=False),
    },
}
REFUND_REQUEST: dict[str, Any] = {
    "name": "refund_request",
    "description": "Asks for the money of an order back.",
    "changes_something": True,
    "parameters": {
        "order_number": field("string", "Such as JP20001234."),
        "reason": field("string", "damaged, wrong-item, late or changed-mind."),
        "received_on": field("date", "When the customer received it.", required=False),
    },
    "results": {
        "refund_number": field("string", "Number of the refund."),
        "days": field("integer", "Working days until the money is there."),
    },
}
_ASK_ORDER = {
    "id": "order",
    "kind": "ask",
    "slot": "order_number",
    "type": "code",
    "pattern": "[A-Z]{1,2}-?[0-9]{4,8}",
    "text": {
        "en": "What is your order number? It is in the confirmation e-mail and looks like JP20001234.",
        "zh": "请问您的订单号是多少？订单号在确认邮件里，形如 JP20001234。",
    },
    "invalid": {
        "en": "That does not look like an order number. It is letters and digits, such as JP20001234.",
        "zh": "这不像是订单号。订单号由字母和数字组成，例如 JP20001234。",
    },
    "next": "look",
}
_AGAIN_OPTIONS = [
    {
        "value": "again",
        "label": {"en": "Try another number", "zh": "换一个订单号"},
        "words": ["try again", "重试"],
        "next": "order",
    },
    {
        "value": "colleague",
        "label": {"en": "Ask a colleague", "zh": "请同事查询"},
        "next": "people",
    },
]
_NOT_FOUND = {
    "id": "not-found",
    "kind": "choose",
    "slot": "not_found",
    "ahead": False,
    "text": {
        "en": "I could not look up order {order_number}. What shall I do?",
        "zh": "没能查到订单 {order_number}，接下来怎么办？",
    },
    "options": _AGAIN_OPTIONS,
}

_PEOPLE = {
    "id": "people",
    "kind": "hand-off",
    "reason": "order-not-found",
    "text": {"en": "I am bringing in a colleague.", "zh": "马上为您转接同事。"},
}


def _look(following: str) -> dict[str, Any]:
    """Looks the order up."""
    return {
        "id": "look",
        "kind": "call",
        "action": "order_status",
        "arguments": {"order_number": "$order_number"},
        "into": "found",
        "next": following,
        "on_failure": "not-found",
    }


STATUS_STEPS: list[dict[str, Any]] = [
    _ASK_ORDER,
    _look("which"),
    {
        "id": "which",
        "kind": "branch",
        "cases": [
            {
                "when": [{"value": "found.status", "is": "equals", "to": "delivered"}],
                "next": "delivered",
            },
            {
                "when": [
                    {"value": "found.status", "is": "equals", "to": "shipped"},
                    {"value": "found.tracking_number", "is": "exists"},
                ],
                "next": "shipped",
            },
            {
                "when": [{"value": "found.status", "is": "equals", "to": "processing"}],
                "next": "processing",
            },
        ],
        "otherwise": "other",
    },
    {
        "id": "delivered",
        "kind": "done",
        "text": {
            "en": "Order {order_number} was delivered on {found.delivered_on}.",
            "zh": "订单 {order_number} 已于{found.delivered_on}送达。",
        },
    },
    {
        "id": "shipped",
        "kind": "done",
        "text": {
            "en": "Order {order_number} is on its way with {found.carrier}, tracking number {found.tracking_number}. "
            "It is expected on {found.expected_on}.",
            "zh": "订单 {order_number} 已由{found.carrier}发出，运单号 {found.tracking_number}，"
            "预计{found.expected_on}送达。",
        },
    },
    {
        "id": "processing",
        "kind": "done",
        "text": {
            "en": "Order {order_number} is being prepared. You get an e-mail as soon as it leaves.",
            "zh": "订单 {order_number} 正在备货，发货后会邮件通知您。",
        },
    },
    {
        "id": "other",
        "kind": "done",
        "text": {
            "en": "The state of order {order_number} is: {found.status}.",
            "zh": "订单 {order_number} 的状态是：{found.status}。",
        },
    },
    _NOT_FOUND,
    _PEOPLE,
]

REFUND_STEPS: list[dict[str, Any]] = [
    _ASK_ORDER,
    _look("may"),
    {
        "id": "may",
        "kind": "branch",
        "cases": [
            {
                "when": [{"value": "found.refundable", "is": "equals", "to": True}],
                "next": "reason",
            }
        ],
        "otherwise": "not-refundable",
    },
    {
        "id": "reason",
        "kind": "choose",
        "slot": "reason",
        "text": {"en": "Why do you want to return it?", "zh": "请问退款原因是什么？"},
        "options": [
            {
                "value": "damaged",
                "label": {"en": "It is damaged", "zh": "商品损坏"},
                "words": ["broken", "defective", "坏了", "破损", "有问题"],
            },
            {
                "value": "wrong-item",
                "label": {"en": "Wrong item", "zh": "发错商品"},
                "words": ["not what I ordered", "发错"],
            },
            {
                "value": "late",
                "label": {"en": "It came too late", "zh": "到货太晚"},
                "words": ["too late", "太晚", "太慢"],
            },
            {
                "value": "changed-mind",
                "label": {"en": "I changed my mind", "zh": "不想要了"},
                "words": ["don't want it", "do not want it", "不喜欢", "买错了"],
            },
        ],
        "next": "received",
    },
    {
        "id": "received",
        "kind": "ask",
        "slot": "received_on",
        "type": "date",
        "when": "past",
        "text": {"en": "When did you receive it?", "zh": "您是哪天收到的？"},
        "invalid": {
            "en": "Please give me a day, such as last Friday or 20 November.",
            "zh": "请告诉我是哪一天，例如上周五，或者11月20日。",
        },
        "next": "refund",
    },
    {
        "id": "refund",
        "kind": "call",
        "action": "refund_request",
        "arguments": {
            "order_number": "$order_number",
            "reason": "$reason",
            "received_on": "$received_on",
        },
        "into": "refund",
        "confirm": {
            "en": "Shall I request a refund of {found.total} for order {order_number}, received on {received_on} "
            "({reason})?",
            "zh": "确认为订单 {order_number}（{received_on}收到，{reason}）申请退款 {found.total} 吗？",
        },
        "next": "done",
        "on_failure": "refused",
    },
    {
        "id": "done",
        "kind": "done",
        "text": {
            "en": "Done. Your refund number is {refund.refund_number}; the money arrives within {refund.days} working "
            "days.",
            "zh": "已提交。退款编号 {refund.refund_number}，款项将在 {refund.days} 个工作日内到账。",
        },
    },
    {
        "id": "refused",
        "kind": "hand-off",
        "reason": "refund-refused",
        "text": {
            "en": "The refund could not be requested: {refund.problem}. I am bringing in a colleague.",
            "zh": "退款申请没有成功：{refund.problem}。马上为您转接同事。",
        },
    },
    {
        "id": "not-refundable",
        "kind": "hand-off",
        "reason": "not-refundable",
        "text": {
            "en": "Order {order_number} cannot be refunded automatically. A colleague will look at it.",
            "zh": "订单 {order_number} 不能自动退款，同事会为您核实。",
        },
    },
    _NOT_FOUND,
    _PEOPLE,
]


ADDRESS_CHANGE: dict[str, Any] = {
    "name": "address_change",
    "description": "Sends an order that has not left yet to another address.",
    "changes_something": True,
    "parameters": {
        "order_number": field("string", "Such as JP20001234."),
        "address": field("string", "The new address, as the customer wrote it."),
        "phone": field("string", "Who the carrier may ring.", required=False),
    },
    "results": {"address": field("string", "The address as your system now has it.")},
}
ADDRESS_STEPS: list[dict[str, Any]] = [
    _ASK_ORDER,
    _look("may"),
    {
        "id": "may",
        "kind": "branch",
        "cases": [
            {
                "when": [{"value": "found.status", "is": "equals", "to": "processing"}],
                "next": "address",
            }
        ],
        "otherwise": "left-already",
    },
    {
        "id": "address",
        "kind": "ask",
        "slot": "address",
        "type": "text",
        "text": {
            "en": "Where shall it go? Name, street and number, postcode and city, please.",
            "zh": "请告诉我新的收货地址：收货人、省市区、街道和门牌号。",
        },
        "next": "phone",
    },
    {
        "id": "phone",
        "kind": "ask",
        "slot": "phone",
        "type": "phone",
        "text": {
            "en": "Which phone number may the carrier ring?",
            "zh": "快递员可以拨打哪个电话联系您？",
        },
        "invalid": {
            "en": "That does not look like a phone number. With the area code, please.",
            "zh": "这不像是电话号码，请填写手机号，座机请加区号。",
        },
        "next": "change",
    },
    {
        "id": "change",
        "kind": "call",
        "action": "address_change",
        "arguments": {
            "order_number": "$order_number",
            "address": "$address",
            "phone": "$phone",
        },
        "into": "changed",
        "confirm": {
            "en": "Shall I send order {order_number} to: {address}? The carrier may ring {phone}.",
            "zh": "确认将订单 {order_number} 改送至：{address}？联系电话 {phone}。",
        },
        "next": "done",
        "on_failure": "refused",
    },
    {
        "id": "done",
        "kind": "done",
        "text": {
            "en": "Done. Order {order_number} goes to: {changed.address}.",
            "zh": "已修改，订单 {order_number} 将送至：{changed.address}。",
        },
    },
    {
        "id": "refused",
        "kind": "hand-off",
        "reason": "address-refused",
        "text": {
            "en": "The address could not be changed: {changed.problem}. I am bringing in a colleague.",
            "zh": "地址没有修改成功：{changed.problem}。马上为您转接同事。",
        },
    },
    {
        "id": "left-already",
        "kind": "hand-off",
        "reason": "left-already",
        "text": {
            "en": "Order {order_number} has left already. A colleague will see what can still be done.",
            "zh": "订单 {order_number} 已经发出，同事会看看还能怎么处理。",
        },
    },
    _NOT_FOUND,
    _PEOPLE,
]
