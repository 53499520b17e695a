"""The sandbox: five small reference engines over real, bundled prices, and an upstream that logs what they decide.

The stocks are survivors: they were picked because they still existed in 2022, so absolute returns on them flatter
every config (`markets.SURVIVORSHIP_NOTE` is shown wherever results are). Engines decide from the past only
(`engines.decide`, `engines.evaluate`: no database); `history` turns that into an imperfect log, `load` plays it into
the source tables and moves the clock.
"""
