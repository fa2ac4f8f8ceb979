import { flushCompileCache } from 'node:module';
import { parentPort } from 'node:worker_threads';
import { EndpointRules } from '../../datapath/endpoint-rules.ts';
import { Lease } from '../../datapath/lease.ts';
import { BUFFER } from '../../datapath/memory.ts';
import { Outbound } from '../../datapath/outbound.ts';
import { warmUpOutbound } from '../../datapath/warm-up.ts';
import { bootNow, monotonicNow } from '../../ground/clock.ts';
import { VNET_HEADER_LENGTH } from '../../io/linux/constants.ts';
import { DatagramSender } from '../../io/linux/datagrams.ts';
import { ERRNO, SystemCallError } from '../../io/linux/errno.ts';
import { NativeBuffer, syscalls } from '../../io/linux/syscalls.ts';
import { dataParts } from './data-parts.ts';
import { Mailbox } from './mailbox.ts';
import {
  type OutboundOperation,
  outboundThread,
  type Report,
  type WorkerSetup,
} from './messages.ts';
import { applyShared, drain } from './operations.ts';
import { UdpSink } from './outbound-sink.ts';
import { receiveSetup } from './receive-setup.ts';
import { Signals } from './signals.ts';
import { warmUpCalls } from './warm-up.ts';

/**
 * An outbound data worker: TUN device -> data path -> UDP socket, run to completion. Waits only
 * in poll, for packets, link events or control.
 */

/**
 * Packets, and bytes, read in one go before control is looked at again and what is kept back is
 * sent: as many as make one batch of small packets, or so few large ones that another peer's
 * packet waits for less than a millisecond.
 */
const READS_PER_ROUND = 64;
const BYTES_PER_ROUND = 256 * 1024;

/** Places in the poll set. */
const TUN = 0;
const LINK = 1;
const ROUTES = 2;

async function run(setup: WorkerSetup): Promise<void> {
  const calls = syscalls();
  const { tunFd, udpFd, vnetHeader } = setup;
  const parts = await dataParts(setup, outboundThread(setup.lane));
  const { memory, thread } = parts;
  const ready: Report = { report: 'ready', aead: parts.aead.name, kernel: parts.kernel.name };
  parentPort!.postMessage(ready);
  warmUpOutbound(parts); // what control asks for meanwhile is done before any packet
  const native = new NativeBuffer(memory.memory.buffer as unknown as SharedArrayBuffer);
  warmUpCalls(memory, thread, native);
  const buffers = memory.buffers(thread);
  const driver = buffers + BUFFER.outboundDriver;
  const sender = new DatagramSender(udpFd, setup.udpFamily, native, driver);
  const signals = new Signals(setup.signals);

  const sink = new UdpSink({
    memory,
    thread,
    endpointRules: new EndpointRules(memory, parts.allowedIps),
    sender,
    udpFd,
    segmentation: setup.udpSegmentation,
    stopped: () => signals.stopped,
    report: (report) => mailbox.report(report),
  });
  const path = new Outbound({ ...parts, sink, mtu: setup.mtu });
  const events = setup.lane === 0 ? [setup.linkFd, setup.routeFd] : [];
  const mailbox = new Mailbox<OutboundOperation>(
    parentPort!,
    signals,
    thread,
    setup.wakeFd,
    [tunFd, ...events],
    apply,
  );

  function apply(operation: OutboundOperation): void {
    switch (operation.op) {
      case 'sendOn':
        path.sendOn(operation.peer, operation.slot, operation.confirm, monotonicNow());
        break;
      case 'keepalive':
        path.keepalive(operation.peer, monotonicNow());
        break;
      case 'dropStaged':
        path.dropStaged(operation.peer);
        break;
      case 'mtu':
        path.mtu = operation.mtu;
        break;
      default:
        applyShared(path, parts.allowedIps, operation);
    }
  }

  const packet = buffers + BUFFER.packet;
  const headerLength = vnetHeader ? VNET_HEADER_LENGTH : 0;
  const iovec = new NativeBuffer(16);
  native.storeAddress(iovec.view, 0, packet - headerLength);
  iovec.view.setUint32(8, headerLength + BUFFER.packetLength, true);
  const iovecAt = iovec.at(0);

  /** Reads packets until there is none left or the round is over. True if there may be more. */
  function readRound(): boolean {
    const now = monotonicNow();
    let bytes = 0;
    for (let reads = 0; reads < READS_PER_ROUND && bytes < BYTES_PER_ROUND; reads++) {
      const length = calls.readv(tunFd, iovecAt, 1);
      if (length > headerLength) {
        path.send(packet, length - headerLength, vnetHeader, now);
        bytes += length;
      } else if (length === -ERRNO.EAGAIN) return false;
      else if (length === -ERRNO.EBADFD) {
        mailbox.watch(TUN, -1);
        mailbox.report({ report: 'linkGone' });
        return false;
      } else if (length < 0 && length !== -ERRNO.EINTR && length !== -ERRNO.EIO) {
        throw new SystemCallError('read from the TUN device', -length);
      }
    }
    return true;
  }

  flushCompileCache(); // if there is one: this thread ends only when the tunnel does
  const lease = new Lease(memory, bootNow);
  while (mailbox.process()) {
    if (lease.isOver(monotonicNow()) && path.removeAllKeypairs() > 0) {
      mailbox.report({ report: 'leaseOver' });
    }
    const more = readRound();
    path.flush();
    if (more) continue;
    mailbox.wait(lease.patience);
    if (events.length === 0) continue;
    if (mailbox.ready(LINK) !== 0) {
      drain(setup.linkFd);
      mailbox.report({ report: 'linkEvent' });
    }
    if (mailbox.ready(ROUTES) !== 0) {
      drain(setup.routeFd);
      mailbox.report({ report: 'routeEvent' });
    }
  }
}

await run(receiveSetup());
