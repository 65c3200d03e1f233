"""Published results that the placement benchmark prints ours beside: facts, each with where it was published."""

from __future__ import annotations

PROXY = {"ariane133": 0.6839, "ariane136": 0.6829, "nvdla": 0.6790, "mempool_tile": 0.7556}
PROXY_BY = {
    "ariane133": "leetfm, 18 July 2026",
    "ariane136": "Circuit Training's own, as TILOS recorded it",
    "nvdla": "leetfm, 18 July 2026",
    "mempool_tile": "leetfm, 18 July 2026",
}
"""Best proxy cost seen in public of the clustered NanGate45 cases (wirelength + 0.5 density + 0.5 congestion)."""

EVALUATION_CPU_S = 9.5
EVALUATION_BY = "TILOS plc_client_os.py"
"""One evaluation of ariane133's proxy cost, CPU seconds."""

MOVE_MS = 0.2
"""The aim for an incremental macro move, median."""

ICCAD04 = {
    "ibm01": 2_282_370,
    "ibm02": 4_759_440,
    "ibm03": 6_435_680,
    "ibm04": 7_261_170,
    "ibm06": 5_807_790,
    "ibm07": 9_856_720,
    "ibm08": 11_467_000,
    "ibm09": 12_000_600,
    "ibm10": 27_428_500,
    "ibm11": 16_997_600,
    "ibm12": 30_633_300,
    "ibm13": 22_013_800,
    "ibm14": 34_180_200,
    "ibm15": 45_136_100,
    "ibm16": 51_604_800,
    "ibm17": 63_593_000,
    "ibm18": 39_943_300,
}
ICCAD04_BY = "RePlAce + NTUplace3"
"""Flat HPWL in Bookshelf units, legal, as WLCalc measures it: mgwoo/RePlAce, doc/result_table.png."""

CT_ARIANE = {
    "CT_Scratch": 958_137,
    "CT_AC": 938_528,
    "SA": 804_228,
    "RePlAce": 952_429,
    "Human": 931_105,
}
CT_ARIANE_BY = "DREAMPlace (TILOS)"
CT_FREE = 745_370
CT_FREE_BY = "CMP + DREAMPlace (TILOS)"
"""DP-HPWL in um of Google's 7 nm Ariane: the macros as published, DREAMPlace places the standard cells around them. TILOS
MacroPlacement, Docs/CT_AC_DP_Results, 5 January 2026."""

MEDIUM01 = 383_022.8
AES = 384_290.7
AES_DISPLACEMENT = 1.3
OPENROAD = "OpenROAD"
"""Golden logs of OpenROAD's tests, um: global placement of medium01 (density 0.7, 256 x 256 bins, until overflow 0.1), and detailed
placement of aes (aes_cipher_top_replace) with its mean displacement."""

ITERATION_MS = {12_000: 4.0, 100_000: 66.0, 211_000: 135.0}
LEGALIZE_S = 2.0
"""The aims for one thread: CPU milliseconds of a global placement iteration by cells, CPU seconds of legalization per 100,000 cells."""

CHALLENGE_REPLACE = {
    "ibm01": 0.9976,
    "ibm02": 1.8370,
    "ibm03": 1.3222,
    "ibm04": 1.3024,
    "ibm06": 1.6187,
    "ibm07": 1.4633,
    "ibm08": 1.4285,
    "ibm09": 1.1194,
    "ibm10": 1.5009,
    "ibm11": 1.1774,
    "ibm12": 1.7261,
    "ibm13": 1.3355,
    "ibm14": 1.5436,
    "ibm15": 1.5159,
    "ibm16": 1.4780,
    "ibm17": 1.6446,
    "ibm18": 1.7722,
}
CHALLENGE_BY = "RePlAce; the challenge's winner averages 0.9507"
"""Proxy cost of the clustered ICCAD04 cases of the 2026 macro placement challenge."""
