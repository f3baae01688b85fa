// Whom sockets belong to, as the network sees it: a UC.
#ifndef EBBRT_NET_NETWORKCLIENT_H_
#define EBBRT_NET_NETWORKCLIENT_H_

namespace ebbrt {

class NetworkRights;

class NetworkClient {
 public:
  // One of its sockets may be ready. On the core where it made the socket.
  virtual void NetworkChanged() = 0;
  // Null: it may reach nothing.
  virtual const NetworkRights* network_rights() const = 0;

 protected:
  ~NetworkClient() = default;
};

}  // namespace ebbrt

#endif  // EBBRT_NET_NETWORKCLIENT_H_
