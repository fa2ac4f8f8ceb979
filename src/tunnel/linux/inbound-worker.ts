import { flushCompileCache } from 'node:module';
import { parentPort } from 'node:worker_threads';
import { Inbound } from '../../datapath/inbound.ts';
import { Lease } from '../../datapath/lease.ts';
import { BUFFER, DROP } from '../../datapath/memory.ts';
import { warmUpInbound } from '../../datapath/warm-up.ts';
import { bootNow, monotonicNow } from '../../ground/clock.ts';
import { DatagramReceiver } from '../../io/linux/datagrams.ts';
import { ERRNO } from '../../io/linux/errno.ts';
import { NativeBuffer } from '../../io/linux/syscalls.ts';
import { dataParts } from './data-parts.ts';
import { TunSink } from './inbound-sink.ts';
import { Mailbox } from './mailbox.ts';
import { type InboundOperation, inboundThread, type Report, type WorkerSetup } from './messages.ts';
import { applyShared } from './operations.ts';
import { receiveSetup } from './receive-setup.ts';
import { Signals } from './signals.ts';
import { warmUpCalls } from './warm-up.ts';

/**
 * An inbound data worker: UDP socket -> data path -> TUN device, run to completion. Waits only in
 * poll, for datagrams or control.
 */

/** Receive calls (each up to 64 KB) before what is kept for coalescing is written. */
const RECEIVES_PER_ROUND = 8;

async function run(setup: WorkerSetup): Promise<void> {
  const { udpFd, tunFd, vnetHeader } = setup;
  const parts = await dataParts(setup, inboundThread(setup.lane));
  const { memory, thread } = parts;
  const ready: Report = { report: 'ready', aead: parts.aead.name, kernel: parts.kernel.name };
  parentPort!.postMessage(ready);
  warmUpInbound(parts); // what control asks for meanwhile is done before any packet
  const native = new NativeBuffer(memory.memory.buffer as unknown as SharedArrayBuffer);
  warmUpCalls(memory, thread, native);
  const buffers = memory.buffers(thread);
  const datagrams = buffers + BUFFER.datagrams;
  const receiver = new DatagramReceiver(
    udpFd,
    setup.udpFamily,
    native,
    buffers + BUFFER.inboundDriver,
    datagrams,
    BUFFER.datagramsLength,
  );
  const signals = new Signals(setup.signals);
  const sink = new TunSink({
    memory,
    native,
    thread,
    tunFd,
    vnetHeader,
    signals,
    report: (report) => mailbox.report(report),
  });
  const path = new Inbound({
    ...parts,
    sink,
    memoryAddress: native.address,
    vnetHeader,
    coalesceTcp: setup.coalesceTcp,
    coalesceUdp: setup.coalesceUdp,
  });
  const mailbox = new Mailbox<InboundOperation>(
    parentPort!,
    signals,
    thread,
    setup.wakeFd,
    [udpFd],
    (operation) => applyShared(path, parts.allowedIps, operation),
  );

  /** Receives until there is nothing left or the round is over. True if there may be more. */
  function receiveRound(): boolean {
    for (let receives = 0; receives < RECEIVES_PER_ROUND; receives++) {
      const length = receiver.receive();
      if (length === -ERRNO.EAGAIN) return false;
      if (length < 0) continue; // an ICMP error of an earlier datagram, or EINTR
      if (receiver.truncated) memory.addDrops(thread, DROP.udpTruncated, 1);
      else {
        path.receive(datagrams, length, receiver.segmentSize, receiver.endpoint, monotonicNow());
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
    const more = receiveRound();
    path.flush();
    if (sink.coalescingRefused) {
      sink.coalescingRefused = false;
      path.setCoalescing(false, false);
    }
    if (!more) mailbox.wait(lease.patience);
  }
}

await run(receiveSetup());
