"""What needs no knowledge: greetings, thanks, goodbyes, and asking for people."""

from __future__ import annotations

import re
from typing import Literal

from apps.customer_service.inference.text import normal

SmallTalk = Literal["greeting", "thanks", "bye", "identity"]

# Read with NFKC and small letters. The whole message must be one of these, perhaps several in a row.
_PATTERNS: dict[SmallTalk, str] = {
    "identity": (
        r"(?:are|r) (?:you|u) (?:an? )?(?:ro)?bot|are you (?:a )?(?:human"
        r"|real)(?: person)?|who are you|am i talking to an? (?:ro)?bot"
        r"|你是(?:不是)?(?:一个)?(?:机器人|機器人|真人|人工智能|ai)(?:吗|嗎|吧|还是真人)?|你是谁|你是誰|您是(?:机器人|真人)(?:吗)?"
    ),
    "thanks": (
        r"(?:ok(?:ay)?|great|perfect|cool|good|alright)|(?:many )?thanks?(?: (?:a lot"
        r"|so much|very much|again))?|thank (?:you|u)"
        r"(?: (?:a lot|so much|very much|again))?|thx|ty|cheers|much appreciated|that (?:helps|helped)|got it"
        r"|(?:非常|十分|太)?(?:谢谢|謝謝|多谢|多謝|感谢|感謝|谢了|3q)(?:你|您|啦|了|哦|哈|帮助)*|好的?|好吧|嗯+|明白了?|知道了|懂了|了解了?|收到|辛苦了"
    ),
    "bye": r"(?:good ?)?bye(?: ?bye)?|see (?:you|ya)(?: later)?|have a (?:nice|good"
    "|great) (?:day|one|evening)|再见|再見|拜拜|回头见|晚安|88",
    "greeting": (
        r"hi+(?: there)?|hello+(?: there)?|hey+(?: there)?|good (?:morning|afternoon"
        r"|evening|day)|greetings|anybody (?:there|here)|anyone (?:there|here)"
        r"|(?:你|您)好(?:呀|啊|哦)?|哈[喽啰囉]|嗨|喂|早上好|上午好|中午好|下午好|晚上好|早安?|(?:请问)?(?:有人)?在(?:吗|嗎|不在|么|嘛)|有人(?:吗|嗎|在吗)"
    ),
}
_JOIN = r"[\s,.!?;:~，。！？；：～、…)]*"
_WHOLE = {
    kind: re.compile(rf"{_JOIN}(?:(?:{pattern})(?![a-z]){_JOIN})+")
    for kind, pattern in _PATTERNS.items()
}
# Any of them in a row, whatever the kinds: "ok thanks, bye".
_MIXED = re.compile(
    rf"{_JOIN}(?:(?:{'|'.join(_PATTERNS[kind] for kind in ('thanks', 'bye', 'greeting'))})(?![a-z]){_JOIN})+"
)
_LONGEST = 60

_PEOPLE = re.compile(
    r"(?:talk|speak|chat|connect(?: me)?|transfer(?: me)?|pass me|put me through|get me"
    r"|switch)(?: on)? ?(?:to|with)? "
    r"(?:an? |the |your |some )?(?:live |real |actual |human |customer (?:service|support|care) )?"
    r"(?:human(?: being)?|person|people|agent|representative|rep|operator|somebody|someone"
    r"|staff(?: member)?|advisor|colleague)\b"
    r"|\b(?:real|live|actual) (?:human|person|agent)\b|^(?:an? )?(?:human|agent"
    r"|representative|operator)(?: please| now)?[.! ]*$"
    r"|(?:need|want) (?:an? )?(?:human|real person|live agent|person to)\b|human (?:please|support|help|agent)"
    r"|(?:转|轉|接|找|要|叫|换|換|联系|聯繫|想和|想跟|想与|需要|呼叫|来个?|來個?)(?:一?下|一个|个|接|到)*(?:你们|你們"
    r"|你们的)?(?:的)?(?:人工|真人|活人|客服(?:人员|小姐姐)?(?!电话|電話|号|號|邮箱))"
    r"|人工(?:客服|服务|服務|坐席|座席)|^[\s,.!，。！]*(?:人工|真人)[\s,.!，。！]*$|(?:和|跟|与)(?:真人|人工|活人|客服)(?:说|聊|谈|沟通|讲|說|聊天|對話|对话)"
)
_NOT_ASKED = re.compile(
    r"(?:don'?t|do not|no need|without|rather not)\b.{0,30}(?:human|person|agent|representative|someone)"
    r"|(?:不要|不用|别|不想|不需要|無需|无需|不必).{0,4}(?:转|轉|人工|真人)"
    # Questions about the people, not for them.
    r"|\b(?:when|what time|hours|how many|phone number|salary)\b"
    r"|几点|幾點|什么时候|什麼時候|时间|時間|上班|电话|電話|号码|號碼|多少钱|收费|人工智能|人工费|人工成本"
)


def small_talk_kind(text: str) -> SmallTalk | None:
    """Whether a message is nothing but a greeting, thanks, a goodbye, or the question who is speaking."""
    plain = normal(text)
    if not plain or len(plain) > _LONGEST:
        return None
    for kind in ("identity", "greeting", "bye", "thanks"):
        if _WHOLE[kind].fullmatch(plain):
            return kind
    if _MIXED.fullmatch(plain):
        # What is said last is what it is: "thanks, bye".
        return "bye" if re.search(_PATTERNS["bye"], plain) else "thanks"
    return None


def people_asked(text: str) -> bool:
    """Whether somebody asks for a person in the place of the assistant."""
    plain = normal(text)
    return bool(_PEOPLE.search(plain)) and not _NOT_ASKED.search(plain)
