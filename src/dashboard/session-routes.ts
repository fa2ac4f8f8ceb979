import type { FastifyInstance } from 'fastify';
import { orRefuse } from '../controller/problem-error.ts';
import type { SessionView } from './documents.ts';
import type { Sessions } from './sessions.ts';
import type { DashboardSource } from './source.ts';
import { cookieOf, NO_COOKIE, shownIn, type Visitors } from './visitors.ts';

const TOKEN = {
  type: 'object',
  additionalProperties: false,
  required: ['token'],
  properties: { token: { type: 'string', maxLength: 256 } },
} as const;

/** Signing in with an access token, which goes in a body, and out again. */
export function sessionRoutes(
  app: FastifyInstance,
  {
    visitors,
    sessions,
    source,
  }: {
    readonly visitors: Visitors;
    readonly sessions: Sessions;
    readonly source: () => DashboardSource;
  },
): void {
  const { mustSignIn } = visitors;

  app.get('/api/session', {
    schema: { summary: 'Whether one must sign in, and who did' },
    handler: async (request): Promise<SessionView> => {
      const self = await visitors.who(request);
      return { mustSignIn, name: self?.name ?? null, role: self?.role ?? null };
    },
  });

  app.post<{ Body: { token: string } }>(
    '/api/session',
    { schema: { summary: 'Signs in with an access token', body: TOKEN } },
    async (request, reply): Promise<SessionView> => {
      const holder = orRefuse(await source().signIn(request.body.token, request.ip ?? ''));
      const { name, role } = orRefuse(await source().whoIs(holder));
      const before = shownIn(request);
      if (before !== undefined) sessions.end(before);
      reply.header('set-cookie', cookieOf(sessions.begin(holder.tokenId)));
      return { mustSignIn, name, role };
    },
  );

  app.delete('/api/session', {
    schema: { summary: 'Signs out' },
    handler: async (request, reply) => {
      const shown = shownIn(request);
      if (shown !== undefined) sessions.end(shown);
      return reply.code(204).header('set-cookie', NO_COOKIE).send();
    },
  });
}
