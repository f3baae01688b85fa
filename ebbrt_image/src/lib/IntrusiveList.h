// Doubly linked list whose links live in the elements: nothing is allocated and
// erasing needs only the element. An element derives from
// IntrusiveListHook<Tag> once for every list it can be on at the same time.
#ifndef EBBRT_LIB_INTRUSIVELIST_H_
#define EBBRT_LIB_INTRUSIVELIST_H_

#include <cstddef>

#include "lib/Assert.h"

namespace ebbrt {

template <class Tag = void> class IntrusiveListHook {
 public:
  IntrusiveListHook() = default;
  // Links belong to a place in memory, so copying an element copies none.
  IntrusiveListHook(const IntrusiveListHook&) {}
  IntrusiveListHook& operator=(const IntrusiveListHook&) { return *this; }
  ~IntrusiveListHook() { kbugon(linked(), "element dies while on a list"); }

  bool linked() const { return next_ != nullptr; }

 private:
  template <class T, class U> friend class IntrusiveList;
  IntrusiveListHook* previous_ = nullptr;
  IntrusiveListHook* next_ = nullptr;
};

template <class T, class Tag = void> class IntrusiveList {
  using Hook = IntrusiveListHook<Tag>;

 public:
  template <class Value, class Link> class Iterator {
   public:
    explicit Iterator(Link* at) : at_(at) {}
    Value& operator*() const { return *static_cast<Value*>(at_); }
    Value* operator->() const { return static_cast<Value*>(at_); }
    Iterator& operator++() {
      at_ = IntrusiveList::next(at_);
      return *this;
    }
    bool operator==(const Iterator&) const = default;

   private:
    Link* at_;
  };
  using iterator = Iterator<T, Hook>;
  using const_iterator = Iterator<const T, const Hook>;

  IntrusiveList() { head_.previous_ = head_.next_ = &head_; }
  IntrusiveList(const IntrusiveList&) = delete;
  IntrusiveList& operator=(const IntrusiveList&) = delete;
  ~IntrusiveList() {
    kbugon(!empty(), "list dies with elements on it");
    head_.previous_ = head_.next_ = nullptr;
  }

  bool empty() const { return head_.next_ == &head_; }
  // Linear.
  std::size_t size() const {
    std::size_t count = 0;
    for (const Hook* at = head_.next_; at != &head_; at = at->next_)
      ++count;
    return count;
  }

  T& front() {
    kassert(!empty());
    return *static_cast<T*>(head_.next_);
  }
  T& back() {
    kassert(!empty());
    return *static_cast<T*>(head_.previous_);
  }

  iterator begin() { return iterator(head_.next_); }
  iterator end() { return iterator(&head_); }
  const_iterator begin() const { return const_iterator(head_.next_); }
  const_iterator end() const { return const_iterator(&head_); }

  void PushBack(T& element) { link_before(&head_, &element); }
  void PushFront(T& element) { link_before(head_.next_, &element); }
  // Puts `element` in front of `position`, which must be on this list.
  void InsertBefore(T& position, T& element) {
    Hook* hook = &position;
    kassert(hook->linked());
    link_before(hook, &element);
  }

  // Constant time. The element must be on this list.
  void Erase(T& element) {
    Hook* hook = &element;
    kbugon(!hook->linked(), "element is on no list");
    hook->previous_->next_ = hook->next_;
    hook->next_->previous_ = hook->previous_;
    hook->previous_ = hook->next_ = nullptr;
  }

  // Null when empty.
  T* PopFront() {
    if (empty())
      return nullptr;
    auto& element = front();
    Erase(element);
    return &element;
  }

 private:
  template <class Link> static Link* next(Link* at) { return at->next_; }

  static void link_before(Hook* position, Hook* hook) {
    kbugon(hook->linked(), "element is on a list already");
    hook->previous_ = position->previous_;
    hook->next_ = position;
    position->previous_->next_ = hook;
    position->previous_ = hook;
  }

  Hook head_;
};

}  // namespace ebbrt

#endif  // EBBRT_LIB_INTRUSIVELIST_H_
