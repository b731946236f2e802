"""Small word lists: stop words, negations, and pairs of opposites that neighbours in an embedding
space often are."""

from __future__ import annotations


def _listed(words: str) -> frozenset[str]:
    return frozenset(words.split())


STOP_WORDS: dict[str, frozenset[str]] = {
    "en": _listed(
        """a about after again all also am an and any are as at be because been before being between
        both but by can could did do does doing during each few for from further had has have having
        he her here hers him his how i i'd i'll i'm i've if in into is it it's its itself just let me
        more most my myself of off on once only or other our ours out over own s same she should so
        some such t than that that's the their them then there these they this those through to too
        under until up very was we were what what's when where which while who whom why will with
        would you you're your yours"""
    ),
    "zh": _listed(
        """的 了 是 在 和 与 及 或 而 但 但是 因为 所以 如果 也 都 就 还 又 很 更 最 吗 呢 吧 啊 呀 嘛
        我 你 您 他 她 它 我们 你们 他们 这 那 这个 那个 这些 那些 什么 怎么 怎样 哪 哪里 哪个 谁 几 多少
        有 个 一 一个 为 为了 对 从 到 把 被 让 给 向 于 以 之 其 等 着 过 得 地 上 下 中 里 会 能 要 可以 请
        请问"""
    ),
}

# Deleting or replacing one of these turns a sentence into its opposite.
NEGATIONS = _listed(
    """no not never none nor neither nothing nobody nowhere cannot without hardly barely scarcely
    unless except 不 没 没有 未 无 非 别 勿 莫 否 毫无 从未 并非 绝不 决不 无法 除非 除了"""
)

# Words of a pair share their contexts, so that an embedding puts them side by side. One line is one
# scale: every word left of the bar is the opposite of every word right of it.
_OPPOSITES = """
rise rises rising rose risen increase increases increased increasing gain gains gained climb climbs up
 higher high jump jumps soar soars surge surges grow grows growth upward
 | fall falls falling fell fallen decrease decreases decreased decreasing lose loses lost loss losses drop
 drops down lower low decline declines declined plunge plunges shrink shrinks downward
profit profits profitable | loss losses deficit unprofitable
buy buys bought buying purchase purchased | sell sells sold selling sale
good great best better excellent positive happy glad pleased satisfied love loves like likes
 | bad poor worst worse terrible negative unhappy sad angry dissatisfied hate hates dislike dislikes
cheap cheaper inexpensive affordable | expensive costly dear pricey
open opened opening | close closed closing shut
activate activated enable enabled start started begin began | deactivate deactivated disable disabled stop
 stopped end ended block blocked freeze
send sends sent sending give gave outgoing | receive receives received receiving get got incoming
deposit deposited deposits | withdraw withdrew withdrawn withdrawal
credit credited lend lent | debit debited borrow borrowed
accept accepted approve approved allow allowed | reject rejected decline declined refuse refused deny denied
before earlier first early | after later last late
more most many much | less least fewer few little
fast quick quickly rapidly faster | slow slowly slower
add added include included | remove removed exclude excluded delete deleted
win wins won beat beats | lose loses lost miss misses missed defeat
strong stronger strengthen | weak weaker weaken
easy simple | hard difficult
true right correct | false wrong incorrect
new latest | old
long big large larger | short small smaller
hot warm | cold cool
man male men he | woman female women she
success succeed succeeded successful | failure fail failed failing unsuccessful
问题 故障 | 正常
上涨 涨 上升 增长 增加 提高 走高 大涨 升 高 盈利 利好 看多 | 下跌 跌 下降 减少 降低 走低 大跌 降 低 亏损 利空 看空
买 买入 购买 买进 | 卖 卖出 出售 卖掉
好 喜欢 满意 高兴 优秀 优点 便宜 | 坏 差 讨厌 失望 难过 糟糕 缺点 贵 昂贵
开 打开 开通 激活 开始 | 关 关闭 注销 冻结 停止 结束
存 存款 存入 转入 收入 收款 | 取 取款 提现 转出 支出 付款
借 借款 | 还 还款 贷出
快 迅速 | 慢 缓慢
多 大 长 新 早 前 | 少 小 短 旧 晚 后
成功 通过 同意 接受 支持 | 失败 拒绝 反对 驳回
增持 买入 | 减持 卖出
强 强势 走强 | 弱 弱势 走弱
男 | 女
"""

_NEGATIVE_PREFIXES = ("un", "in", "im", "il", "ir", "dis", "non", "de", "mis", "anti", "不", "非")


def _pairs() -> frozenset[tuple[str, str]]:
    pairs: set[tuple[str, str]] = set()
    scales = _OPPOSITES.strip().replace("\n ", " ").split("\n")
    for scale in scales:
        left, right = (side.split() for side in scale.split("|"))
        pairs.update((a, b) for a in left for b in right)
        pairs.update((b, a) for a in left for b in right)
    return frozenset(pairs)


_PAIRS = _pairs()


def opposite(first: str, second: str) -> bool:
    """Whether two casefolded words are known to mean the opposite of each other."""
    if (first, second) in _PAIRS:
        return True
    short, long = sorted((first, second), key=len)
    return any(long == prefix + short for prefix in _NEGATIVE_PREFIXES)


def same_stem(first: str, second: str) -> bool:
    """Whether two casefolded Latin words are likely forms of one word: card, cards; lose, losing."""
    if not (first.isascii() and second.isascii()):
        return first == second
    shorter = min(len(first), len(second))
    stem = max(3, shorter - 2)
    return first[:stem] == second[:stem] and abs(len(first) - len(second)) <= 4
