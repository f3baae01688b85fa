// The handlers of all system calls, by topic. What each does and which of its
// options are refused stands at its definition.
#ifndef EBBRT_PERSONALITY_CALLS_H_
#define EBBRT_PERSONALITY_CALLS_H_

#include "personality/SystemCall.h"

namespace ebbrt::personality {

// MemoryCalls.cc
Answer MemoryMap(SystemCall& call);
Answer MemoryUnmap(SystemCall& call);
Answer MemoryProtect(SystemCall& call);
Answer MemoryRemap(SystemCall& call);
Answer MemoryAdvise(SystemCall& call);
Answer Break(SystemCall& call);

// InputOutputCalls.cc
Answer Read(SystemCall& call);
Answer Write(SystemCall& call);
Answer PRead(SystemCall& call);
Answer PWrite(SystemCall& call);
Answer ReadVector(SystemCall& call);
Answer WriteVector(SystemCall& call);
Answer Seek(SystemCall& call);
Answer Truncate(SystemCall& call);
Answer TruncateDescriptor(SystemCall& call);
Answer Allocate(SystemCall& call);
Answer ReadDirectory(SystemCall& call);
Answer Synchronise(SystemCall& call);

// DescriptorCalls.cc
Answer Close(SystemCall& call);
Answer CloseRange(SystemCall& call);
Answer Duplicate(SystemCall& call);
Answer Duplicate2(SystemCall& call);
Answer Duplicate3(SystemCall& call);
Answer Control(SystemCall& call);
Answer DeviceControl(SystemCall& call);
Answer Pipe(SystemCall& call);
Answer Pipe2(SystemCall& call);
Answer EventFd(SystemCall& call);
Answer EventFd2(SystemCall& call);

// NameCalls.cc
Answer Open(SystemCall& call);
Answer OpenAt(SystemCall& call);
Answer Stat(SystemCall& call);
Answer LinkStat(SystemCall& call);
Answer DescriptorStat(SystemCall& call);
Answer StatAt(SystemCall& call);
Answer Access(SystemCall& call);
Answer AccessAt(SystemCall& call);
Answer ReadLink(SystemCall& call);
Answer ReadLinkAt(SystemCall& call);
Answer MakeDirectory(SystemCall& call);
Answer MakeDirectoryAt(SystemCall& call);
Answer RemoveDirectory(SystemCall& call);
Answer Unlink(SystemCall& call);
Answer UnlinkAt(SystemCall& call);
Answer Rename(SystemCall& call);
Answer RenameAt(SystemCall& call);
Answer RenameAt2(SystemCall& call);
Answer ChangeMode(SystemCall& call);
Answer ChangeModeOf(SystemCall& call);
Answer ChangeModeAt(SystemCall& call);
Answer ChangeTimesAt(SystemCall& call);
Answer CurrentDirectory(SystemCall& call);
Answer ChangeDirectory(SystemCall& call);
Answer ChangeDirectoryTo(SystemCall& call);
Answer FileModeMask(SystemCall& call);

// PollCalls.cc
Answer Poll(SystemCall& call);
Answer PollPrecise(SystemCall& call);
Answer Select(SystemCall& call);
Answer SelectPrecise(SystemCall& call);
Answer EpollCreate(SystemCall& call);
Answer EpollCreate1(SystemCall& call);
Answer EpollControl(SystemCall& call);
Answer EpollWait(SystemCall& call);

// SocketCalls.cc
Answer Socket(SystemCall& call);
Answer SocketPair(SystemCall& call);
Answer Connect(SystemCall& call);
Answer Bind(SystemCall& call);
Answer Listen(SystemCall& call);
Answer Accept(SystemCall& call);
Answer Accept4(SystemCall& call);
Answer Shutdown(SystemCall& call);
Answer SocketName(SystemCall& call);
Answer PeerName(SystemCall& call);
Answer SetSocketOption(SystemCall& call);
Answer GetSocketOption(SystemCall& call);

// SocketTransfer.cc
Answer SendTo(SystemCall& call);
Answer ReceiveFrom(SystemCall& call);

// SocketMessages.cc
Answer SendMessage(SystemCall& call);
Answer SendMultiple(SystemCall& call);
Answer ReceiveMessage(SystemCall& call);

// ThreadCalls.cc
Answer Clone(SystemCall& call);
Answer ExitThread(SystemCall& call);
Answer ExitGroup(SystemCall& call);
Answer Futex(SystemCall& call);
Answer ThreadId(SystemCall& call);
Answer SetClearThreadId(SystemCall& call);
Answer SetRobustList(SystemCall& call);
Answer ArchitectureControl(SystemCall& call);
Answer Affinity(SystemCall& call);
Answer SetAffinity(SystemCall& call);
Answer YieldCore(SystemCall& call);
Answer CurrentCore(SystemCall& call);

// SignalCalls.cc
Answer SignalAction(SystemCall& call);
Answer SignalMask(SystemCall& call);
Answer AlternateStack(SystemCall& call);
Answer Kill(SystemCall& call);
Answer ThreadKill(SystemCall& call);

// TimeCalls.cc
Answer ClockTime(SystemCall& call);
Answer ClockResolution(SystemCall& call);
Answer ClockSleep(SystemCall& call);
Answer Sleep(SystemCall& call);
Answer TimeOfDay(SystemCall& call);
Answer Seconds(SystemCall& call);
Answer Times(SystemCall& call);

// IdentityCalls.cc
Answer ProcessId(SystemCall& call);
Answer ParentId(SystemCall& call);
Answer UserId(SystemCall& call);
Answer SystemName(SystemCall& call);
Answer SystemInfo(SystemCall& call);
Answer ResourceUsage(SystemCall& call);
Answer ResourceLimit(SystemCall& call);
Answer ResourceLimit2(SystemCall& call);
Answer RandomBytes(SystemCall& call);
Answer ProcessControl(SystemCall& call);
Answer WaitForChild(SystemCall& call);

// SnapshotCalls.cc
Answer CaptureSelf(SystemCall& call);

}  // namespace ebbrt::personality

#endif  // EBBRT_PERSONALITY_CALLS_H_
