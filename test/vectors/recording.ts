/** The parts of vectors/wireguard-go.json that tests use; the file itself explains every field. */
export interface Recording {
  readonly source: { readonly module: string; readonly version: string };
  readonly scenarios: readonly Scenario[];
}

export type Name = 'a' | 'b';

export interface Scenario {
  readonly name: string;
  readonly mtu: number;
  readonly devices: Readonly<Record<Name, RecordedDevice>>;
  readonly steps: readonly Step[];
  readonly sessions: readonly Session[];
}

export interface RecordedDevice {
  readonly static_private: string;
  readonly static_public: string;
  readonly preshared_key: string | null;
  readonly cookie_source: string;
  readonly allowed_ips: readonly string[];
}

interface AnyStep {
  readonly step: number;
  readonly from: Name;
  readonly to: Name;
  readonly outcome: 'accepted' | 'accepted late' | 'rejected' | 'cookie-demanded';
  readonly message: string;
}

export interface InitiationStep extends AnyStep {
  readonly type: 'initiation';
  readonly sender_index: number;
  readonly ephemeral_private: string;
  readonly timestamp: string;
  readonly chaining_key_after: string;
  readonly hash_after: string;
  /** Keys mac2; absent if mac2 is zero. */
  readonly cookie?: string;
}

export interface ResponseStep extends AnyStep {
  readonly type: 'response';
  readonly session: number;
  readonly answers_step: number;
  readonly sender_index: number;
  readonly receiver_index: number;
  readonly ephemeral_private: string;
  readonly preshared_key: string;
  readonly cookie?: string;
}

export interface CookieReplyStep extends AnyStep {
  readonly type: 'cookie-reply';
  readonly answers_step: number;
  readonly receiver_index: number;
  readonly cookie_secret: string;
  readonly cookie_nonce: string;
  readonly cookie: string;
}

export interface TransportStep extends AnyStep {
  readonly type: 'transport';
  readonly session: number;
  readonly receiver_index: number;
  readonly counter: number;
  readonly packet: string;
  readonly padded_length: number;
}

export type Step = InitiationStep | ResponseStep | CookieReplyStep | TransportStep;

export interface Session {
  readonly session: number;
  readonly initiator: Name;
  readonly responder: Name;
  readonly initiation_step: number;
  readonly response_step: number;
  readonly initiator_index: number;
  readonly responder_index: number;
  readonly preshared_key: string;
  readonly initiator_to_responder_key: string;
  readonly responder_to_initiator_key: string;
}

export const other = (name: Name): Name => (name === 'a' ? 'b' : 'a');

/** A session as `name` sees it. */
export function sessionOf(session: Session, name: Name) {
  const isInitiator = session.initiator === name;
  const [send, receive] = isInitiator
    ? [session.initiator_to_responder_key, session.responder_to_initiator_key]
    : [session.responder_to_initiator_key, session.initiator_to_responder_key];
  const [local, remote] = isInitiator
    ? [session.initiator_index, session.responder_index]
    : [session.responder_index, session.initiator_index];
  return {
    isInitiator,
    sendKey: send,
    receiveKey: receive,
    localIndex: local,
    remoteIndex: remote,
  };
}
