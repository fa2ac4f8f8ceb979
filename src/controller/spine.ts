import {
  type ControllerEvent,
  type ControllerEventName,
  type StampedEvent,
  thrown,
} from './events.ts';

/** Events that wait for a subscriber unless it says otherwise. */
const CAPACITY = 1024;

/** How these are handled is counted, and not news again. */
const ABOUT_SUBSCRIBERS: ReadonlySet<ControllerEventName> = new Set<ControllerEventName>([
  'subscriber_failed',
  'subscriber_recovered',
]);

export interface Subscriber {
  readonly name: string;
  /** Which events it gets; default: all. */
  readonly events?: readonly ControllerEventName[];
  /** And which it does not get. */
  readonly except?: ReadonlySet<ControllerEventName>;
  /** Most events that wait for it; what comes beyond is dropped and counted. */
  readonly capacity?: number;
  readonly handle: (event: StampedEvent) => void | Promise<void>;
}

/** A subscriber that is called before `emit` returns: quick, and never waits. */
export type ImmediateSubscriber = Pick<Subscriber, 'name' | 'events' | 'except'> & {
  readonly handle: (event: StampedEvent) => void;
};

/** What became of the events of one subscriber, since it came. */
export interface Delivery {
  readonly name: string;
  handled: number;
  failed: number;
  dropped: number;
  /** Time that handling took, all together, ms. */
  busyMs: number;
}

/**
 * Hands every event to whoever subscribed. Those that members wait for (pushes) get it at once, all
 * others from a queue of their own, in order, in later turns of the event loop. A subscriber that is
 * slow, hangs or throws holds up neither the emitter nor another subscriber.
 */
export class EventSpine {
  private readonly now: () => number;
  private readonly immediate: { readonly of: ImmediateSubscriber; readonly outcome: Outcome }[] =
    [];
  private readonly queues = new Set<SubscriberQueue>();
  private number = 0;

  /** `now`: the controller's clock, ms. */
  constructor(now: () => number) {
    this.now = now;
  }

  readonly emit = (event: ControllerEvent): void => {
    this.number++;
    const stamped: StampedEvent = { number: this.number, at: this.now(), ...event };
    for (const { of, outcome } of this.immediate) {
      if (!isWanted(of, event)) continue;
      const started = performance.now();
      try {
        of.handle(stamped);
        outcome.succeeded(event, started);
      } catch (error) {
        outcome.failed(event, started, error);
      }
    }
    for (const queue of this.queues) queue.add(stamped);
  };

  /** Immediate subscribers are called in the order they came in. */
  subscribeImmediately(subscriber: ImmediateSubscriber): void {
    this.immediate.push({ of: subscriber, outcome: new Outcome(subscriber.name, this.emit) });
  }

  /** Returns what ends the subscription; what waits is forgotten then. */
  subscribe(subscriber: Subscriber): { readonly delivery: Delivery; readonly end: () => void } {
    const queue = new SubscriberQueue(subscriber, new Outcome(subscriber.name, this.emit));
    this.queues.add(queue);
    const end = () => {
      this.queues.delete(queue);
      queue.clear();
    };
    return { delivery: queue.outcome.delivery, end };
  }

  /** Of all subscribers there are. */
  get deliveries(): readonly Delivery[] {
    const outcomes = [...this.immediate, ...this.queues].map(({ outcome }) => outcome);
    return outcomes.map(({ delivery }) => delivery);
  }

  /** True once nothing waits or is under way; false if that is not so within `ms`. */
  async drained(ms: number): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const timer = setTimeout(() => resolve(false), ms);
    const all = Promise.all([...this.queues].map((queue) => queue.idle())).then(() => true);
    const done = await Promise.race([all, promise]);
    clearTimeout(timer);
    return done;
  }
}

function isWanted(
  { events, except }: Pick<Subscriber, 'events' | 'except'>,
  { event }: ControllerEvent,
): boolean {
  return (events === undefined || events.includes(event)) && !except?.has(event);
}

/** Counts what became of events, and says when they begin to fail, and when they no longer do. */
class Outcome {
  readonly delivery: Delivery;
  private readonly emit: (event: ControllerEvent) => void;
  private isFailing = false;

  constructor(name: string, emit: (event: ControllerEvent) => void) {
    this.delivery = { name, handled: 0, failed: 0, dropped: 0, busyMs: 0 };
    this.emit = emit;
  }

  succeeded({ event }: ControllerEvent, started: number): void {
    this.delivery.busyMs += performance.now() - started;
    this.delivery.handled++;
    if (!this.isFailing || ABOUT_SUBSCRIBERS.has(event)) return;
    this.isFailing = false;
    this.emit({ event: 'subscriber_recovered', subscriber: this.delivery.name });
  }

  failed({ event }: ControllerEvent, started: number, error: unknown): void {
    this.delivery.busyMs += performance.now() - started;
    this.delivery.failed++;
    if (this.isFailing || ABOUT_SUBSCRIBERS.has(event)) return;
    this.isFailing = true;
    this.emit({ event: 'subscriber_failed', subscriber: this.delivery.name, ...thrown(error) });
  }
}

/** Events on their way to one subscriber, one at a time. */
class SubscriberQueue {
  readonly outcome: Outcome;
  private readonly subscriber: Subscriber;
  private waiting: StampedEvent[] = [];
  private isBusy = false;
  private idlers: (() => void)[] = [];

  constructor(subscriber: Subscriber, outcome: Outcome) {
    this.subscriber = subscriber;
    this.outcome = outcome;
  }

  add(event: StampedEvent): void {
    const { subscriber, waiting } = this;
    if (!isWanted(subscriber, event)) return;
    if (waiting.length >= (subscriber.capacity ?? CAPACITY)) {
      this.outcome.delivery.dropped++;
      return;
    }
    waiting.push(event);
    if (this.isBusy) return;
    this.isBusy = true;
    setImmediate(() => this.work());
  }

  clear(): void {
    this.waiting = [];
  }

  idle(): Promise<void> {
    if (!this.isBusy) return Promise.resolve();
    return new Promise((resolve) => this.idlers.push(resolve));
  }

  /** Handles one event; the next in a later turn, so that a long queue holds up nobody either. */
  private async work(): Promise<void> {
    const event = this.waiting.shift();
    if (event !== undefined) {
      const started = performance.now();
      try {
        await this.subscriber.handle(event);
        this.outcome.succeeded(event, started);
      } catch (error) {
        this.outcome.failed(event, started, error);
      }
    }
    if (this.waiting.length > 0) {
      setImmediate(() => this.work());
      return;
    }
    this.isBusy = false;
    for (const tell of this.idlers.splice(0)) tell();
  }
}
