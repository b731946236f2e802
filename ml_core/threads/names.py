"""Names that Chinese and English news share: places, people, institutions, companies, goods.

Two reports of one event in two languages have few letters in common; what they do have in common is who and what they
name. The table is general knowledge of the field, one line a name: a key, then its English forms, then its Chinese
forms. Linked entities of an application come on top of it.
"""

from __future__ import annotations

import functools
import re

__all__ = ["entity_key", "find_names"]

# Key, then forms; one with a capital letter counts only as it is written: US is a country, us is not.
_TABLE = """
us|US|U.S.|united states|america|american|washington|white house|美国|美方|对美|华盛顿|白宫
us|美伊|中美|美日|美韩|美欧|美联储|美军|美股
china|china|chinese|beijing|中国|中方|我国|中美|对华|北京
japan|japan|japanese|tokyo|日本|日韩|美日|日经|日股|日债
korea|south korea|korean|seoul|韩国|日韩|美韩|韩股|韩元
india|india|indian|印度
uk|UK|U.K.|britain|british|england|英国|中英|英伦
eu|EU|european union|europe|european|brussels|欧盟|欧洲|中欧|美欧|欧股
eurozone|euro zone|eurozone|欧元区
germany|germany|german|德国|德日|德股
france|france|french|法国|法股
italy|italy|italian|意大利
spain|spain|spanish|西班牙
netherlands|netherlands|dutch|荷兰
switzerland|switzerland|swiss|瑞士
russia|russia|russian|moscow|俄罗斯|俄乌|俄方|对俄
ukraine|ukraine|ukrainian|kyiv|乌克兰|俄乌
iran|iran|iranian|tehran|伊朗|美伊|以伊
israel|israel|israeli|以色列
gaza|gaza|hamas|加沙|哈马斯
saudi|saudi|沙特
uae|uae|emirates|dubai|阿联酋|迪拜
qatar|qatar|卡塔尔
kuwait|kuwait|科威特
iraq|iraq|伊拉克
turkey|turkey|turkish|土耳其
egypt|egypt|埃及
venezuela|venezuela|委内瑞拉
brazil|brazil|brazilian|巴西
argentina|argentina|milei|阿根廷|米莱
mexico|mexico|mexican|墨西哥
canada|canada|canadian|加拿大|加方
australia|australia|australian|澳大利亚|澳洲
newzealand|new zealand|新西兰
taiwan|taiwan|taiwanese|台湾|台股|台积电
hongkong|hong kong|香港|港股|港交所
singapore|singapore|新加坡
indonesia|indonesia|印尼|印度尼西亚
vietnam|vietnam|越南
thailand|thailand|泰国
philippines|philippines|菲律宾
malaysia|malaysia|马来西亚
pakistan|pakistan|巴基斯坦
africa|africa|african|非洲
greenland|greenland|格陵兰
hormuz|hormuz|霍尔木兹
redsea|red sea|红海
middleeast|middle east|中东
asia|asia|asian|亚洲|亚太
trump|trump|特朗普|川普
xi|xi jinping|trump-xi|习近平
putin|putin|普京
zelensky|zelensky|zelenskyy|泽连斯基
netanyahu|netanyahu|内塔尼亚胡
macron|macron|马克龙
starmer|starmer|斯塔默
reeves|reeves|里夫斯
carney|carney|卡尼
modi|modi|莫迪
takaichi|takaichi|高市|高市早苗
ishiba|ishiba|石破
powell|powell|鲍威尔
warsh|warsh|沃什
hassett|hassett|哈塞特
bessent|bessent|贝森特
lutnick|lutnick|卢特尼克
lagarde|lagarde|拉加德
ueda|ueda|植田
musk|musk|马斯克
buffett|buffett|巴菲特
dimon|dimon|戴蒙
altman|altman|奥特曼|奥尔特曼
huang|jensen huang|黄仁勋
cook|tim cook|库克
zuckerberg|zuckerberg|扎克伯格
bezos|bezos|贝索斯
fed|Fed|federal reserve|fomc|美联储|联储
ecb|ecb|european central bank|欧洲央行|欧央行
boj|BOJ|bank of japan|日本央行|日央行|日银
boe|bank of england|BoE|BOE|英国央行|英格兰银行
pboc|pboc|people's bank of china|中国人民银行|央行
sec|SEC|securities and exchange commission|美国证监会|美国证券交易委员会
csrc|csrc|证监会
imf|IMF|国际货币基金组织
worldbank|world bank|世界银行|世行
wto|wto|世贸组织|世界贸易组织
opec|opec|opec+|欧佩克|石油输出国组织
iea|IEA|国际能源署
nato|nato|北约
supremecourt|supreme court|最高法院
congress|congress|senate|国会|参议院|众议院
treasury|treasury|treasuries|财政部|美债
apple|Apple|iphone|苹果
microsoft|microsoft|微软
google|google|alphabet|谷歌
amazon|amazon|亚马逊
meta|Meta|facebook|脸书
nvidia|nvidia|英伟达
amd|amd
intel|intel|英特尔
tsmc|tsmc|台积电
samsung|samsung|三星
skhynix|sk hynix|海力士
micron|micron|美光
broadcom|broadcom|博通
qualcomm|qualcomm|高通
arm|Arm|ARM
asml|asml|阿斯麦
oracle|oracle|甲骨文
ibm|ibm
tesla|tesla|特斯拉
spacex|spacex|太空探索
xai|xai|grok
openai|openai|chatgpt|sora
anthropic|anthropic|claude
deepseek|deepseek|深度求索
palantir|palantir
salesforce|salesforce|赛富时
netflix|netflix|奈飞|网飞
disney|disney|迪士尼
paramount|paramount|派拉蒙
warner|warner|华纳
ea|electronic arts|EA
tiktok|tiktok|bytedance|字节跳动|字节|抖音
alibaba|alibaba|阿里
tencent|tencent|腾讯
baidu|baidu|百度
xiaomi|xiaomi|小米
huawei|huawei|华为
byd|byd|比亚迪
nio|nio|蔚来
catl|catl|宁德时代
meituan|meituan|美团
jd|jd.com|京东
pdd|pinduoduo|temu|拼多多
shein|shein|希音
nexperia|nexperia|安世
softbank|softbank|软银
toyota|toyota|丰田
honda|honda|本田
nissan|nissan|日产汽车
sony|sony|索尼
nintendo|nintendo|任天堂
hyundai|hyundai|现代汽车
volkswagen|volkswagen|vw|大众汽车
bmw|bmw|宝马
mercedes|mercedes|奔驰
porsche|porsche|保时捷
ford|Ford|福特
gm|general motors|GM|通用汽车
stellantis|stellantis
boeing|boeing|波音
airbus|airbus|空客
ryanair|ryanair|瑞安
exxon|exxon|埃克森
chevron|chevron|雪佛龙
shell|Shell|壳牌
bp|BP|英国石油
aramco|aramco|沙特阿美|阿美
riotinto|rio tinto|力拓
glencore|glencore|嘉能可
jpmorgan|jpmorgan|jp morgan|摩根大通|小摩
goldman|goldman|高盛
morganstanley|morgan stanley|摩根士丹利|大摩
citi|Citi|citigroup|花旗
bofa|bank of america|美国银行|美银
wellsfargo|wells fargo|富国银行
hsbc|hsbc|汇丰
barclays|barclays|巴克莱
ubs|ubs|瑞银
deutschebank|deutsche bank|德意志银行|德银
blackrock|blackrock|贝莱德
berkshire|berkshire|伯克希尔
bridgewater|bridgewater|dalio|桥水|达利欧
kkr|kkr
visa|Visa
paypal|paypal|贝宝
coinbase|coinbase
binance|binance|币安
tether|tether
starbucks|starbucks|星巴克
mcdonalds|mcdonald|麦当劳
nike|nike|耐克
walmart|walmart|沃尔玛
costco|costco|开市客
pfizer|pfizer|辉瑞
novonordisk|novo nordisk|诺和诺德
lilly|eli lilly|lilly|礼来
astrazeneca|astrazeneca|阿斯利康
unilever|unilever|联合利华
nestle|nestle|nestlé|雀巢
lvmh|lvmh|路威酩轩
gold|gold|bullion|黄金|金价|金银|期金|现货金
silver|silver|白银|金银|期银|银价
copper|copper|铜
oil|oil|crude|brent|wti|petrol|原油|石油|油价|布伦特|布油
gas|natural gas|lng|天然气
coal|coal|煤
rareearth|rare earth|稀土
lithium|lithium|锂
soybean|soybean|大豆
chips|chip|chips|semiconductor|semiconductors|芯片|半导体
memory|memory|dram|存储
ai|AI|A.I.|artificial intelligence|人工智能
bitcoin|bitcoin|btc|比特币
ethereum|ethereum|ether|以太坊
stablecoin|stablecoin|stablecoins|稳定币
crypto|crypto|cryptocurrency|加密
dollar|dollar|美元指数|美元
yen|yen|日元
yuan|yuan|renminbi|人民币
euro|euro|欧元
pound|Pound|sterling|英镑
won|Won|korean won|韩元
nasdaq|nasdaq|纳指|纳斯达克
sp500|s&p 500|s&p|标普
dow|Dow|道指|道琼斯
nikkei|nikkei|日经|日股
kospi|kospi|韩股|韩国综指
ftse|ftse|富时
wallstreet|wall street|美股|华尔街
ev|EV|EVs|electric vehicle|electric vehicles|电动车|电动汽车|新能源车
tariff|tariff|tariffs|duties|levies|关税
sanctions|sanction|sanctions|制裁
shutdown|shutdown|停摆|政府关门
ceasefire|ceasefire|truce|停火
exportcontrols|export control|export controls|出口管制
ratecut|rate cut|rate cuts|cuts rates|cuts interest|降息
ratehike|rate hike|rate hikes|raises rates|raise rates|加息
hold|holds rates|rates steady|rates unchanged|按兵不动|利率不变
inflation|inflation|cpi|通胀|物价
gdp|gdp|economic growth|国内生产总值
jobs|jobs|payroll|payrolls|unemployment|非农|就业|失业
layoffs|layoff|layoffs|job cuts|裁员
ipo|ipo|上市|招股
bond|bond|bonds|debt sale|债券|国债|发债|发行债
buyback|buyback|repurchase|回购
acquire|acquire|acquires|acquisition|takeover|buyout|merger|buys|bought|收购|并购|私有化|接管
ceo|ceo|chief executive|首席执行官|换帅
lawsuit|sue|sues|lawsuit|suing|起诉|诉讼|状告
investigate|investigate|investigates|investigation|probe|调查
antitrust|antitrust|monopoly|反垄断|垄断
fine|fined|fines|penalty|罚款|处罚
profit|profit|profits|earnings|results|利润|盈利|财报|业绩|净利
loss|loss|losses|亏损
record|record|all-time high|新高|创纪录|历史最高
trade|trade|贸易
export|exports|出口
datacentre|data center|data centers|data centre|数据中心
strike|strike|strikes|袭击|打击|开火
nobel|nobel|诺贝尔
"""

_LATIN = re.compile(r"[A-Za-z]")
_LETTER = "A-Za-z0-9"


@functools.cache
def _forms() -> dict[str, frozenset[str]]:
    """The keys of each form; a form such as 美伊 names two."""
    forms: dict[str, set[str]] = {}
    for line in _TABLE.strip().splitlines():
        key, *names = line.split("|")
        for form in names or [key]:
            forms.setdefault(form, set()).add(key)
    return {form: frozenset(keys) for form, keys in forms.items()}


@functools.cache
def _pattern(*, latin: bool, as_written: bool) -> re.Pattern[str]:
    """All forms of a script, the longest first; a form with a capital letter counts only as it is written."""
    forms = [
        form
        for form in _forms()
        if bool(_LATIN.search(form)) is latin and (form != form.casefold()) is as_written
    ]
    either = "|".join(map(re.escape, sorted(forms, key=len, reverse=True)))
    return re.compile(f"(?<![{_LETTER}])(?:{either})(?![{_LETTER}])" if latin else either)


# A title is compared with newcomers for days.
@functools.lru_cache(maxsize=20_000)
def find_names(text: str) -> frozenset[str]:
    """Keys of the names in a text, the same for English and Chinese: "Apple sues OpenAI" and "苹果起诉OpenAI"."""
    forms = _forms()
    places = (
        (_pattern(latin=True, as_written=False), text.casefold()),
        (_pattern(latin=True, as_written=True), text),
        (_pattern(latin=False, as_written=False), text),
    )
    return frozenset(
        key for pattern, read in places for form in pattern.findall(read) for key in forms[form]
    )


def entity_key(name: str) -> str:
    """The key of an entity that an application linked, by its name: the table's where it has just this name, so that
    "Apple" counts once, else one of its own."""
    forms = _forms()
    known = forms.get(name) or forms.get(name.casefold())
    return min(known) if known else f"entity {name.casefold()}"
