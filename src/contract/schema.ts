/**
 * The part of JSON Schema (2020-12, also valid draft-07) that our documents use, and a checker for
 * it. Fastify compiles the same objects for routes and OpenAPI; the checker here serves payloads
 * inside envelopes, which Fastify does not see, and the agent, which does not load Fastify.
 * For the two to agree, Fastify's ajv needs `coerceTypes: false` and `removeAdditional: false`.
 */
export interface Schema {
  readonly type?: JsonType | readonly JsonType[];
  readonly description?: string;
  readonly const?: string | number | boolean;
  readonly enum?: readonly (string | number)[];
  readonly pattern?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly items?: Schema;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  /** What other properties must be, false: there are none. */
  readonly additionalProperties?: false | Schema;
}

export type JsonType = 'object' | 'array' | 'string' | 'number' | 'integer' | 'boolean' | 'null';

export interface Violation {
  /** JSON path of the field, `` for the document itself. */
  readonly field: string;
  /** What would have been accepted, e.g. `a number from 0 to 1`. */
  readonly expected: string;
}

/** The first violation of `schema` by `value`, or undefined if it conforms. */
export function violation(schema: Schema, value: unknown): Violation | undefined {
  if (!isItself(schema, value)) return { field: '', expected: describe(schema) };
  if (Array.isArray(value)) return arrayViolation(schema, value);
  if (value !== null && typeof value === 'object') {
    return objectViolation(schema, value as Record<string, unknown>);
  }
  return undefined;
}

/** The same, seen from the value that has it as `place`. */
function within(place: string, { field, expected }: Violation): Violation {
  const isName = field !== '' && !field.startsWith('[');
  return { field: `${place}${isName ? '.' : ''}${field}`, expected };
}

/** Whether it conforms but for what is in it. */
function isItself(schema: Schema, value: unknown): boolean {
  const { type } = schema;
  if (type !== undefined) {
    const isOne =
      typeof type === 'string' ? isType(type, value) : type.some((one) => isType(one, value));
    if (!isOne) return false;
  }
  if (schema.const !== undefined && value !== schema.const) return false;
  if (schema.enum !== undefined && !schema.enum.some((item) => item === value)) return false;
  if (typeof value === 'string') {
    if (schema.minLength !== undefined && value.length < schema.minLength) return false;
    if (schema.maxLength !== undefined && value.length > schema.maxLength) return false;
    return schema.pattern === undefined || pattern(schema.pattern).test(value);
  }
  if (typeof value !== 'number') return true;
  if (schema.minimum !== undefined && value < schema.minimum) return false;
  return schema.maximum === undefined || value <= schema.maximum;
}

function arrayViolation(schema: Schema, value: readonly unknown[]): Violation | undefined {
  if (schema.minItems !== undefined && value.length < schema.minItems)
    return { field: '', expected: `at least ${schema.minItems} items` };
  if (schema.maxItems !== undefined && value.length > schema.maxItems)
    return { field: '', expected: `at most ${schema.maxItems} items` };
  if (schema.items === undefined) return undefined;
  for (let index = 0; index < value.length; index++) {
    const found = violation(schema.items, value[index]);
    if (found) return within(`[${index}]`, found);
  }
  return undefined;
}

function objectViolation(schema: Schema, value: Record<string, unknown>): Violation | undefined {
  const properties = schema.properties ?? {};
  for (const name of schema.required ?? []) {
    if (!Object.hasOwn(value, name)) {
      return { field: name, expected: describe(properties[name] ?? {}) };
    }
  }
  for (const name of Object.keys(value)) {
    const isNamed = Object.hasOwn(properties, name);
    const property = isNamed ? properties[name] : schema.additionalProperties;
    if (property === undefined) continue;
    const found =
      property === false
        ? { field: '', expected: 'no such field' }
        : violation(property, value[name]);
    if (found) return within(isNamed ? name : shorten(name), found);
  }
  return undefined;
}

function isType(type: JsonType, value: unknown): boolean {
  switch (type) {
    case 'object':
      return typeof value === 'object' && value !== null && !Array.isArray(value);
    case 'array':
      return Array.isArray(value);
    case 'integer':
      return Number.isSafeInteger(value);
    case 'number':
      return typeof value === 'number' && Number.isFinite(value);
    case 'null':
      return value === null;
    default:
      return typeof value === type;
  }
}

const patterns = new Map<string, RegExp>();

function pattern(source: string): RegExp {
  let compiled = patterns.get(source);
  if (!compiled) {
    compiled = new RegExp(source, 'u');
    patterns.set(source, compiled);
  }
  return compiled;
}

/** A field name that came from outside, safe to show. */
function shorten(name: string): string {
  return JSON.stringify(name.length > 40 ? `${name.slice(0, 40)}...` : name);
}

function describe(schema: Schema): string {
  if (schema.description !== undefined) return schema.description;
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum !== undefined) return `one of ${schema.enum.join(', ')}`;
  const types = typeof schema.type === 'string' ? [schema.type] : (schema.type ?? ['anything']);
  let text = types.join(' or ');
  if (schema.minimum !== undefined) text += ` from ${schema.minimum}`;
  if (schema.maximum !== undefined) text += ` up to ${schema.maximum}`;
  if (schema.minLength !== undefined) text += ` of at least ${schema.minLength} characters`;
  if (schema.maxLength !== undefined) text += ` of at most ${schema.maxLength} characters`;
  if (schema.pattern !== undefined) text += ` matching ${schema.pattern}`;
  return text;
}
