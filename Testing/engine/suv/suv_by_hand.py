"""SUV of the default series by hand.

The default series: 74 kg, 370 MBq of F-18 (half-life 6586.2 s) at 10:00:00, series and acquisition at 11:00:00, so
SUVbw = c · 74000 g / (370e6 Bq · 2^(-3600/6586.2)) = c · 2e-4 · 2^(3600/6586.2).
"""

HALF_LIFE = 6586.2
AN_HOUR = 2 ** (3600 / HALF_LIFE)  # 1.4606 times more decay-corrected activity than at administration
