/**
 * A small WebAssembly assembler: expressions are typed byte strings, functions are lists of
 * statements, a module is turned into the binary format (WebAssembly core specification, chapter 5).
 *
 * Expressions nest like function calls and are emitted operands first, so no text format, parser or
 * register allocation is needed here; V8 does the rest.
 */
export type ValueType = 'i32' | 'i64' | 'v128';
export type ResultType = ValueType | 'void';

/** Bytes as a tree, so that nesting copies nothing; flattened once per function. */
export type Bytes = Uint8Array | readonly (number | Bytes)[];

/** Instructions that leave one value of type `T` (or nothing) on the stack. */
export interface Code<T extends ResultType> {
  readonly type: T;
  readonly bytes: Bytes;
}
export type Statement = Code<'void'>;

export function code<T extends ResultType>(type: T, ...bytes: (number | Bytes)[]): Code<T> {
  return { type, bytes };
}

/** Appends `bytes` to `into`, which has room, and returns where they end. */
function write(bytes: Bytes, into: Uint8Array, offset: number): number {
  if (bytes instanceof Uint8Array) {
    into.set(bytes, offset);
    return offset + bytes.length;
  }
  let at = offset;
  // An index, not an iterator: this runs once, at start-up, before anything is compiled.
  for (let i = 0; i < bytes.length; i++) {
    const part = bytes[i]!;
    if (typeof part === 'number') into[at++] = part;
    else at = write(part, into, at);
  }
  return at;
}

const MAX_MODULE_LENGTH = 1 << 16;

function flatten(bytes: Bytes): Uint8Array {
  const room = new Uint8Array(MAX_MODULE_LENGTH);
  const length = write(bytes, room, 0);
  if (length > MAX_MODULE_LENGTH) throw new RangeError('module too long');
  return room.slice(0, length);
}

/** Unsigned LEB128 (5.2.2). */
export function unsigned(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest = Math.floor(rest / 128)) bytes.push((rest & 0x7f) | 0x80);
  bytes.push(rest);
  return bytes;
}

/** Signed LEB128 (5.2.2) of up to 64 bits. */
export function signed(value: bigint): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (;;) {
    const low = Number(rest & 0x7fn);
    rest >>= 7n;
    const isLast = (rest === 0n && (low & 0x40) === 0) || (rest === -1n && (low & 0x40) !== 0);
    if (isLast) return [...bytes, low];
    bytes.push(low | 0x80);
  }
}

const VALUE_TYPE: Record<ValueType, number> = { i32: 0x7f, i64: 0x7e, v128: 0x7b };
const VOID_BLOCK = 0x40;

/** A local variable; used as an expression it is its value. */
export class Local<T extends ValueType> implements Code<T> {
  readonly type: T;
  readonly bytes: Bytes;
  private readonly index: number;

  constructor(type: T, index: number) {
    this.type = type;
    this.index = index;
    this.bytes = [0x20, ...unsigned(index)]; // local.get
  }

  set(value: Code<T>): Statement {
    return code('void', value.bytes, 0x21, unsigned(this.index));
  }
}

// Structured control flow (5.4.1). Loops are tested at the end, as V8 likes them; `whileTrue`
// therefore emits its condition twice.

export function when(
  condition: Code<'i32'>,
  then: Statement[],
  otherwise?: Statement[],
): Statement {
  const alternative = otherwise ? [0x05, join(otherwise)] : [];
  return code('void', condition.bytes, 0x04, VOID_BLOCK, join(then), alternative, 0x0b);
}

export function doWhile(body: Statement[], condition: Code<'i32'>): Statement {
  return code('void', 0x03, VOID_BLOCK, join(body), condition.bytes, 0x0d, 0, 0x0b);
}

export function whileTrue(condition: Code<'i32'>, body: Statement[]): Statement {
  return when(condition, [doWhile(body, condition)]);
}

/** Leaves the function; only where it has a result. */
export function leave(value: Code<ValueType>): Statement {
  return code('void', value.bytes, 0x0f);
}

function join(statements: readonly Code<ResultType>[]): Bytes {
  return statements.map((statement) => statement.bytes);
}

/** Parameters by name, in order. */
type Signature = Readonly<Record<string, ValueType>>;
type Arguments<P extends Signature> = { readonly [K in keyof P]: Code<P[K]> };
type Parameters<P extends Signature> = { readonly [K in keyof P]: Local<P[K]> };

/** Declares the locals of one function. */
export class Locals {
  private readonly types: ValueType[];
  private readonly parameterCount: number;

  constructor(parameters: readonly ValueType[]) {
    this.types = [...parameters];
    this.parameterCount = parameters.length;
  }

  /** A new local, zero at entry. */
  new<T extends ValueType>(type: T): Local<T> {
    return new Local(type, this.types.push(type) - 1);
  }

  many<T extends ValueType>(type: T, count: number): Local<T>[] {
    return Array.from({ length: count }, () => this.new(type));
  }

  encode(): number[] {
    const declared = this.types.slice(this.parameterCount);
    const entries = declared.flatMap((type) => [1, VALUE_TYPE[type]]);
    return [...unsigned(declared.length), ...entries];
  }
}

/** A function of the module that can be called from later ones. */
export class Func<P extends Signature, R extends ResultType> {
  private readonly index: number;
  private readonly names: readonly (keyof P & string)[];
  private readonly result: R;

  constructor(index: number, names: readonly (keyof P & string)[], result: R) {
    this.index = index;
    this.names = names;
    this.result = result;
  }

  call(given: Arguments<P>): Code<R> {
    const operands = this.names.map((name) => given[name].bytes);
    return code(this.result, operands, 0x10, unsigned(this.index));
  }
}

function sized(content: Bytes): Bytes {
  const flat = flatten(content);
  return [unsigned(flat.length), flat];
}
const section = (id: number, content: Bytes): Bytes => [id, sized(content)];
const vector = (items: readonly Bytes[]): Bytes => [unsigned(items.length), items];
const name = (text: string): Bytes => sized(new TextEncoder().encode(text));

/**
 * A module that imports one shared memory `env.memory` and one i32 constant `env.scratch`, and
 * exports functions.
 */
export class ModuleAssembler {
  /** The value of `env.scratch`. */
  readonly scratch: Code<'i32'> = code('i32', 0x23, 0); // global.get 0

  private readonly maximumPages: number;
  private readonly types: Bytes[] = [];
  private readonly exports: Bytes[] = [];
  private readonly bodies: Bytes[] = [];

  /** Memory of up to `maximumPages` pages of 64 KB can be given at instantiation. */
  constructor(maximumPages: number) {
    this.maximumPages = maximumPages;
  }

  /** Defines a function; with `exportName` it can be called from JavaScript. */
  define<P extends Signature, R extends ResultType>(
    signature: P,
    result: R,
    body: (parameters: Parameters<P>, locals: Locals) => (Statement | Code<R>)[],
    exportName?: string,
  ): Func<P, R> {
    const names = Object.keys(signature) as (keyof P & string)[];
    const types = names.map((key) => signature[key] as ValueType);
    const results = result === 'void' ? [] : [VALUE_TYPE[result as ValueType]];
    const index = this.bodies.length;
    this.types.push([
      0x60,
      vector(types.map((type) => [VALUE_TYPE[type]])),
      vector(results.map((type) => [type])),
    ]);
    if (exportName !== undefined) this.exports.push([name(exportName), 0, unsigned(index)]);

    const locals = new Locals(types);
    const parameters = Object.fromEntries(
      names.map((key, position) => [key, new Local(signature[key] as ValueType, position)]),
    ) as Parameters<P>;
    const statements = join(body(parameters, locals)); // first: it declares the locals
    this.bodies.push(sized([locals.encode(), statements, 0x0b]));
    return new Func(index, names, result);
  }

  /**
   * The module's bytes. `label` goes into a custom section: V8 shares compiled code between modules
   * of equal bytes, so modules to be compiled with different options must differ in it.
   */
  assemble(label: string): Uint8Array {
    const memory = [name('env'), name('memory'), 2, 3, 0, unsigned(this.maximumPages)];
    const scratch = [name('env'), name('scratch'), 3, VALUE_TYPE.i32, 0];
    return flatten([
      [0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0], // magic and version (5.5.16)
      section(1, vector(this.types)),
      section(2, vector([memory, scratch])),
      section(3, vector(this.bodies.map((_, index) => unsigned(index)))),
      section(7, vector(this.exports)),
      section(10, vector(this.bodies)),
      section(0, name(label)),
    ]);
  }
}
