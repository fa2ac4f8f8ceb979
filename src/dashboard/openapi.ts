import type { FastifyInstance } from 'fastify';
import { type DescribedCall, describeServer } from '../controller/http/describe-server.ts';
import { COOKIE } from './visitors.ts';

/**
 * The description of the dashboard's own calls, at its own `/openapi.json` (OpenAPI 3.1): what its page
 * reads and asks for. Programs have those of the controller's port.
 */

interface Operation extends Pick<DescribedCall, 'id' | 'media' | 'empty'> {
  /** `reader`: beyond loopback whoever signed in; `holder`: whoever signed in; `anybody`: whoever asks. */
  readonly caller: 'anybody' | 'reader' | 'holder';
  readonly refusals?: readonly number[];
}

const OPERATIONS: Readonly<Record<string, Operation>> = {
  'GET /api/session': { id: 'showSession', caller: 'anybody' },
  'POST /api/session': { id: 'signIn', caller: 'anybody', refusals: [401, 429] },
  'DELETE /api/session': { id: 'signOut', caller: 'anybody', empty: 204 },
  'GET /api/mesh': { id: 'showMesh', caller: 'reader' },
  'GET /api/live': { id: 'followMesh', caller: 'reader', media: 'text/event-stream' },
  'GET /api/nodes/:id': { id: 'showNode', caller: 'reader' },
  'GET /api/nodes/:id/proof': { id: 'proveVerdict', caller: 'reader', refusals: [404] },
  'GET /api/reach': { id: 'showReach', caller: 'reader' },
  'GET /api/epochs': { id: 'showEpochs', caller: 'reader' },
  'GET /api/changes': { id: 'showChanges', caller: 'reader' },
  'GET /api/health': { id: 'showHealth', caller: 'reader' },
  'GET /log/checkpoint': { id: 'readCheckpoint', caller: 'reader', media: 'text/plain' },
  'GET /log/key': { id: 'readLogKey', caller: 'reader', media: 'text/plain' },
  'GET /api/policy': { id: 'readPolicy', caller: 'reader' },
  'POST /api/policy/replay': { id: 'replayPolicy', caller: 'reader', refusals: [404] },
  'PUT /api/policy': { id: 'changePolicy', caller: 'holder', refusals: [409] },
};

/** Any call can meet these. */
const ALWAYS = [400, 403, 408, 421, 422, 431, 500, 503];

/** `mustSignIn`: to read, too. */
export async function describeDashboard(app: FastifyInstance, mustSignIn: boolean): Promise<void> {
  const session = [{ session: [] }];
  const security = { anybody: [], reader: mustSignIn ? session : [], holder: session };
  const described = ({ caller, refusals = [], ...call }: Operation): DescribedCall => ({
    ...call,
    tag: 'dashboard',
    security: security[caller],
    refusals: [...refusals, ...ALWAYS, ...(security[caller].length > 0 ? [401] : [])],
  });
  await describeServer(app, {
    title: 'Aligned Meshnet dashboard',
    description:
      'What the dashboard’s page asks of the controller that serves it. Its origin is looked at: ' +
      'no other page may ask for a change.',
    server: 'the address of the dashboard, by no name but its own',
    securitySchemes: {
      session: {
        type: 'apiKey',
        in: 'cookie',
        name: COOKIE,
        description: 'What POST /api/session gives for an access token, for twelve hours at most',
      },
    },
    calls: new Map(Object.entries(OPERATIONS).map(([route, one]) => [route, described(one)])),
  });
  app.get('/openapi.json', { schema: { hide: true }, handler: async () => app.swagger() });
}
