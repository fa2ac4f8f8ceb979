import { join } from 'node:path';
import { type EmitterState, emitterSchema, NOTHING_SENT } from '../agent/node-state.ts';
import { type FromSchema, mapOf } from '../contract/from-schema.ts';
import { isNodeId } from '../contract/ids.ts';
import { type Schema, violation } from '../contract/schema.ts';
import { ensurePrivateDirectory } from '../ground/directory.ts';
import { readJsonFile, replaceFile } from '../ground/files.ts';

/**
 * What an evaluator must not forget: its sequences and dates about each node, in a directory beside the
 * key, a file for each node, so that a score costs the same however many nodes there are.
 */
export class EvaluatorMemory {
  private readonly directory: string;
  private readonly before: Readonly<Record<string, EmitterState>>;
  private readonly known = new Map<string, EmitterState>();

  constructor(keyPath: string) {
    this.directory = `${keyPath}.memory`;
    ensurePrivateDirectory(this.directory);
    // Version 0.1 kept all nodes in one file; what it says holds until there is more to say.
    this.before = read(`${keyPath}.sequences`, mapOf(emitterSchema)) ?? {};
  }

  of(node: string) {
    return {
      readEmitter: (): EmitterState => this.stateOf(node),
      changeEmitter: async (change: (before: EmitterState) => EmitterState) => {
        const next = change(this.stateOf(node));
        await replaceFile(this.path(node), `${JSON.stringify(next)}\n`);
        this.known.set(node, next);
      },
    };
  }

  private stateOf(node: string): EmitterState {
    const known = this.known.get(node);
    if (known !== undefined) return known;
    const earlier = Object.hasOwn(this.before, node) ? this.before[node] : undefined;
    const state = read(this.path(node), emitterSchema) ?? earlier ?? NOTHING_SENT;
    this.known.set(node, state);
    return state;
  }

  private path(node: string): string {
    if (!isNodeId(node)) throw new RangeError('a node has up to 63 of a-z, 0-9 and hyphen');
    return join(this.directory, `${node}.json`);
  }
}

/** Undefined: there is no such file. Throws if it is none of ours. */
function read<const S extends Schema>(path: string, schema: S): FromSchema<S> | undefined {
  const value = readJsonFile(path);
  if (value === undefined) return undefined;
  const bad = violation(schema, value);
  if (bad) throw new Error(`${path}: ${bad.field || 'content'} is not ${bad.expected}`);
  return value as FromSchema<S>;
}
