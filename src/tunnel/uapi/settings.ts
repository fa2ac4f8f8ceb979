import {
  type DeviceChange,
  type DeviceStatus,
  LARGEST,
  type PeerChange,
  type PeerStatus,
} from '../../device/config.ts';
import { presharedKeyBytes } from '../../device/preshared-key.ts';
import { formatEndpoint, parseEndpoint, type ScopeOf } from '../../wire/address-text.ts';
import { parseKey, parseUnsigned, required } from './values.ts';

/** What the protocol tells of a device. */
export type UapiStatus = Pick<DeviceStatus, 'privateKey' | 'listenPort' | 'fwmark' | 'peers'>;

export type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** A key that has a value: it is set by one and shown with it, at both ends. */
interface Setting<Change, Status> {
  /** Takes the text of a `set=1` request into a change. Throws UapiError. */
  readonly set: (change: Mutable<Change>, text: string, key: string, scopeOf: ScopeOf) => void;
  /** The text that asks for a change; undefined: it stays as it is. */
  readonly asked: (change: Change) => string | undefined;
  /** The text in the answer to `get=1`; undefined: the key is left out. */
  readonly shown: (status: Status) => string | undefined;
  /** Takes that text into a status. Throws UapiError. */
  readonly see: (status: Mutable<Status>, text: string, key: string, scopeOf: ScopeOf) => void;
}

const NO_KEY = '00'.repeat(32);

/** All zeros stand for no key. */
const optionalKey = (text: string, key: string) =>
  text === NO_KEY ? undefined : parseKey(key, text);
const number = (value: number | undefined) => value?.toString();
const unlessZero = (value: number) => (value === 0 ? undefined : value.toString());

/** What a device is set to. In this order they are written, here and below. */
export const DEVICE_SETTINGS = new Map<string, Setting<DeviceChange, UapiStatus>>([
  [
    'private_key',
    {
      set(change, text, key) {
        change.privateKey = parseKey(key, text);
      },
      asked: ({ privateKey }) => privateKey?.toHex(),
      shown: ({ privateKey }) => privateKey?.toHex(),
      see(status, text, key) {
        status.privateKey = optionalKey(text, key);
      },
    },
  ],
  [
    'listen_port',
    {
      set(change, text, key) {
        change.listenPort = parseUnsigned(key, text, LARGEST.device.listenPort);
      },
      asked: ({ listenPort }) => number(listenPort),
      shown: ({ listenPort }) => unlessZero(listenPort),
      see(status, text, key) {
        status.listenPort = parseUnsigned(key, text, LARGEST.device.listenPort);
      },
    },
  ],
  [
    'fwmark',
    {
      set(change, text, key) {
        change.fwmark = parseUnsigned(key, text, LARGEST.device.fwmark);
      },
      asked: ({ fwmark }) => number(fwmark),
      shown: ({ fwmark }) => unlessZero(fwmark),
      see(status, text, key) {
        status.fwmark = parseUnsigned(key, text, LARGEST.device.fwmark);
      },
    },
  ],
]);

/** What a peer is set to. */
export const PEER_SETTINGS = new Map<string, Setting<PeerChange, PeerStatus>>([
  [
    'preshared_key',
    {
      set(change, text, key) {
        change.presharedKey = parseKey(key, text);
      },
      asked: ({ presharedKey }) => presharedKey && presharedKeyBytes(presharedKey).toHex(),
      shown: ({ presharedKey }) => presharedKey?.toHex() ?? NO_KEY,
      see(status, text, key) {
        status.presharedKey = optionalKey(text, key);
      },
    },
  ],
  [
    'endpoint',
    {
      set(change, text, key, scopeOf) {
        change.endpoint = required(key, parseEndpoint(text, scopeOf));
      },
      asked: ({ endpoint }) => endpoint && formatEndpoint(endpoint),
      shown: ({ endpoint }) => endpoint && formatEndpoint(endpoint),
      // Undefined where its scope is the name of an interface in another namespace than ours.
      see(status, text, _key, scopeOf) {
        status.endpoint = parseEndpoint(text, scopeOf);
      },
    },
  ],
  [
    'persistent_keepalive_interval',
    {
      set(change, text, key) {
        change.persistentKeepalive = parseUnsigned(key, text, LARGEST.peer.persistentKeepalive);
      },
      asked: ({ persistentKeepalive }) => number(persistentKeepalive),
      shown: ({ persistentKeepalive }) => number(persistentKeepalive),
      see(status, text, key) {
        status.persistentKeepalive = parseUnsigned(key, text, LARGEST.peer.persistentKeepalive);
      },
    },
  ],
]);
