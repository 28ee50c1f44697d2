# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
"""The keys of the tests, none of which any output may ever show, in whatever form."""
import base64

_forms = {}  # what must not be found, and of which key it is


def know(key, what):
    """`key`: 32 bytes, or these in base64."""
    raw = base64.b64decode(key) if isinstance(key, str) else bytes(key)
    # The last letters depend on what stands behind them, and half a key is too much already.
    for form in (base64.b64encode(raw)[:40], base64.urlsafe_b64encode(raw)[:40], raw.hex()[:40].encode(),
                 raw.hex()[:40].upper().encode(), raw.hex(":")[:40].encode(), raw.hex(" ")[:40].encode(), raw[:20]):
        _forms[form] = what


def found_in(output):
    """Of which keys something is in these bytes."""
    return sorted({what for form, what in _forms.items() if form in output})
