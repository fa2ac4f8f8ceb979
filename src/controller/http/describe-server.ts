import swagger from '@fastify/swagger';
import type { FastifyInstance } from 'fastify';
import { PROBLEM_MEDIA_TYPE, problemSchema } from '../../contract/problems.ts';

/** What no schema of a call says. */
export interface DescribedCall {
  /** Its name for whoever makes a client of the description. */
  readonly id: string;
  readonly tag: string;
  /** Ways to show who calls, of which one does; `{}`: nothing is to be shown; none: nobody needs to. */
  readonly security: readonly object[];
  /** Statuses with which it can be refused. */
  readonly refusals: readonly number[];
  /** A success that is no JSON: its media type. */
  readonly media?: string;
  /** A success without a body: its status. */
  readonly empty?: number;
  /** Its query, if its own schema has none. */
  readonly query?: object;
}

export interface ServerDescription {
  readonly title: string;
  readonly description: string;
  /** Where it is served from, in words. */
  readonly server: string;
  readonly securitySchemes: Readonly<Record<string, object>>;
  /** By method and route, such as `GET /v1/nodes/:id`. */
  readonly calls: ReadonlyMap<string, DescribedCall>;
}

/** Any call with a body can be refused with these as well. */
const WITH_BODY = [413, 415];

/** Makes `app.swagger()` tell all of its calls (OpenAPI 3.1). */
export async function describeServer(
  app: FastifyInstance,
  { title, description, server, securitySchemes, calls }: ServerDescription,
): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title, version: '1', description, license: { name: 'MIT', identifier: 'MIT' } },
      servers: [{ url: '/', description: server }],
      components: { securitySchemes: securitySchemes as never }, // the types know those of 3.0 alone
    },
    transform: ({ schema, url, route }) => {
      const call = calls.get(`${String(route.method)} ${url}`);
      if (call === undefined) return { schema, url };
      return { schema: { ...schema, ...described(call, schema ?? {}) }, url };
    },
  });
}

interface RouteSchema {
  readonly body?: unknown;
  readonly querystring?: unknown;
  readonly response?: unknown;
}

function described(call: DescribedCall, route: RouteSchema): object {
  const { id, tag, security, media, empty, refusals } = call;
  const { body, response = {}, querystring = call.query } = route;
  const statuses = [...refusals, ...(body === undefined ? [] : WITH_BODY)];
  const success =
    media !== undefined
      ? { 200: { description: 'OK', content: { [media]: { schema: { type: 'string' } } } } }
      : empty !== undefined
        ? { [empty]: { type: 'null', description: 'Done' } }
        : Object.keys(response as object).length === 0
          ? { 200: { type: 'object', description: 'OK' } }
          : (response as object);
  const refused = Object.fromEntries(
    statuses.map((status) => [
      status,
      { description: 'Refused', content: { [PROBLEM_MEDIA_TYPE]: { schema: problemSchema } } },
    ]),
  );
  return {
    operationId: id,
    tags: [tag],
    security,
    ...(querystring !== undefined && { querystring }),
    response: { ...success, ...refused },
  };
}
