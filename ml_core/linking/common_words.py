"""English words that are names of companies, products or tickers too, and far more often mean what they say."""

from __future__ import annotations

from typing import Final

_WORDS: Final = """
    a ace act add aim air all alliance alpha amber american an anchor angel any apache apple arc are arm art as
    asia at atlas august average axis back ball bank bar base bath be beam bear beauty best beta big bill bit
    block blue boat bold bond book boom boot boston box brain brand bridge bright bull but buy by cable call can
    cap car card care cars case cash cat central chain charm chase check china chip city class clean clear clock
    close cloud coal coin cold come compass concentrate core corn cost cotton cow crane crest crown crypto dark
    data date day deal delta dollar door dove down dream duke eagle earn earth east easy eat edge edit energy
    entry era ever express eye face fact fair fast fat fate fed feel fig find fire first fit five flex focus
    food for ford fortune forward fox free freedom fresh fun future gain gap gas gate gear gem general gift
    global go gold golden good grand great green grid group grow growth guess gulf has hawk he heart help hero
    high home honest hope host house hub hut i ice icon idea impact in independence india indigo info insight
    intel iron it jack jet job joy jump just key king kite lake land lead leader leaf life light like line link
    lion live load local long love low luck lucky mail main man mane many mark market mars match max me mean med
    media meet mega merit meta metal mind mine mint mobile model modern moon more most motor move net new next
    nice night no noble north nova now oak object ocean oil old on one open optimum or oracle orange order our
    out pack page palm paper park path pay peak pearl people perfect phoenix pilot pine pink plan play plus
    pointer polar pool post power premier prime priority pro progress prologue prospect public pulse pure quest
    quick rain range rapid real realty red relay reliance rent resolute rice ring rio rise river road rock roll
    root rose royal run safe sage sail salt sand save sea see seed select sell sense shell shift shop short
    signal silk silver simple sky smart snap snow so soft solid son sonic source south spark spirit spot spring
    sprint square stage star state steel step stone store story stream strong summit sun super swift target team
    tech tell ten thor three tide tiger time titan to top total tower trade trend tribe true trust tree twist
    two union unit united unity upstart us value vector venture via victory viking virgin visa vision visual
    vital wave way we web well west wheat white wide will win wind wing wise wish wolf wonder wood word work
    world yard year yes you young zone zoom
"""

COMMON_ENGLISH: Final = frozenset(_WORDS.split())
