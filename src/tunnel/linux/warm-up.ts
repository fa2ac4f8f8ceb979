import { BUFFER, type PacketMemory } from '../../datapath/memory.ts';
import { AF_INET6, O_CLOEXEC, O_NONBLOCK } from '../../io/linux/constants.ts';
import { DatagramReceiver, DatagramSender } from '../../io/linux/datagrams.ts';
import { must } from '../../io/linux/errno.ts';
import { type NativeBuffer, syscalls } from '../../io/linux/syscalls.ts';
import { ENDPOINT } from '../../wire/endpoint.ts';

/** Own tuning: about when nothing more is compiled. */
const ROUNDS = 300;
const LENGTH = 64;

/**
 * Makes the calls of a data worker on a descriptor on which they do nothing, so that the engine has
 * compiled what surrounds them. `native` is over `memory`, in which the thread's buffers are used.
 */
export function warmUpCalls(memory: PacketMemory, thread: number, native: NativeBuffer): void {
  const calls = syscalls();
  // An eventfd: not ready to be read, no socket, and adding zero to it changes nothing.
  const fd = must(calls.eventfd(0, O_NONBLOCK | O_CLOEXEC), 'eventfd');
  const buffers = memory.buffers(thread);
  const area = buffers + BUFFER.outboundDriver;
  const datagrams = buffers + BUFFER.datagrams;
  const iovec = buffers + BUFFER.coalesce;
  native.storeAddress(memory.view, iovec, datagrams);
  memory.view.setUint32(iovec + 8, LENGTH, true);
  const iovecAt = native.at(iovec);
  const sender = new DatagramSender(fd, AF_INET6, native, area);
  const receiver = new DatagramReceiver(
    fd,
    AF_INET6,
    native,
    buffers + BUFFER.inboundDriver,
    datagrams,
    LENGTH,
  );
  memory.view.setUint16(sender.endpoint + ENDPOINT.family, 4, true);
  memory.view.setUint16(sender.endpoint + ENDPOINT.hasSource, 1, true);
  for (let round = 0; round < ROUNDS; round++) {
    calls.readv(fd, iovecAt, 1);
    sender.send(sender.endpoint, datagrams, LENGTH, LENGTH >> (round & 1), true);
    calls.poll(iovecAt, 0n, 0);
    receiver.receive();
    calls.writev(fd, iovecAt, 1);
  }
  calls.close(fd);
  memory.u8.fill(0, iovec, iovec + 16);
}
