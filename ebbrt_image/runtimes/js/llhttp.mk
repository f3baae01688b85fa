# llhttp, the HTTP parser of Node.js: for the runtime and for the tests on the
# host. The includer says where to (LLHTTP_SOURCE), and has PYTHON and PIP.

LLHTTP := llhttp==9.3.0.0
LLHTTP_SHA256 := 0d989363e7fb6f270b9d49956e7a3945c26778f8c70a166815264309ac6a8295
LLHTTP_NAMES := llhttp api http
JS_HOME := $(abspath $(dir $(lastword $(MAKEFILE_LIST))))
LLHTTP_CACHE := $(JS_HOME)/../../../build/cache

$(LLHTTP_SOURCE)/.complete: $(JS_HOME)/tools/fetch_source.py $(JS_HOME)/llhttp.mk
	@echo '  FETCH $(LLHTTP)'
	@$(PYTHON) $< --pip "$(PIP)" $(LLHTTP) $(LLHTTP_SHA256) $(LLHTTP_CACHE) $(@D)
	@touch $@
