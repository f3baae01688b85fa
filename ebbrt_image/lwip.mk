# lwIP, Debian's source as it is: for the image and for the tests on the host.
# The source lies beside what the includer builds; BUILD and PYTHON are its own.

LWIP_VERSION := 2.1.3+dfsg1
LWIP_HOME := $(abspath $(dir $(lastword $(MAKEFILE_LIST))))
LWIP_TARBALL := $(LWIP_HOME)/../build/cache/lwip-$(LWIP_VERSION).orig.tar
LWIP := $(BUILD)/lwip-$(LWIP_VERSION)
LWIP_NAMES := core/def core/init core/ip core/mem core/memp core/netif core/pbuf core/inet_chksum \
  core/tcp core/tcp_in core/tcp_out core/udp core/ipv4/etharp core/ipv4/icmp core/ipv4/ip4 \
  core/ipv4/ip4_addr core/ipv4/ip4_frag netif/ethernet
LWIP_CONFIGURATION := $(LWIP_HOME)/src/net/lwip/lwipopts.h $(LWIP_HOME)/src/net/lwip/arch/cc.h
LWIP_INCLUDES := -I$(LWIP_HOME)/src/net/lwip -isystem $(LWIP)/src/include

$(LWIP_TARBALL): | $(LWIP_HOME)/tools/fetch_source.py
	@echo '  FETCH source of lwip $(LWIP_VERSION)'
	@mkdir -p $(@D)
	@$(PYTHON) $(LWIP_HOME)/tools/fetch_source.py $(BUILD)/apt $@ lwip $(LWIP_VERSION)

$(LWIP)/.complete: $(LWIP_TARBALL)
	@rm -rf $(@D) && mkdir -p $(@D)
	@tar -xf $< -C $(@D) --strip-components=1 --wildcards '*/src/*'
	@touch $@
