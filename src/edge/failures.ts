// What can go wrong in the world of the edge. Codes of the first list reach operators; those of the second reach HTTP
// clients in the body of an error and in the access log.

import { type Catalogue, defineFailures } from '../kit/failure.ts'

export const edgeFailures: Catalogue<
  | 'portTaken'
  | 'portForbidden'
  | 'addressUnknown'
  | 'snapshotInvalid'
  | 'snapshotOld'
  | 'controlBusy'
  | 'certificateFile'
  | 'controlRequest'
  | 'canaryUnknown'
> = defineFailures('edge', {
  portTaken: {
    when: 'A listener cannot be opened because another process holds its port.',
    advice: 'Stop the other process (`ss -ltnp` shows it), or choose another port in edge.listen.',
  },
  portForbidden: {
    when: 'A listener cannot be opened because the user may not bind the port.',
    advice:
      'Choose a port above 1023, start as root (services then run as nobody), or grant CAP_NET_BIND_SERVICE: the unit of `tenfold export systemd --user NAME` does.',
  },
  addressUnknown: {
    when: 'A listener cannot be opened because this machine has no such address.',
    advice: 'Use 0.0.0.0, 127.0.0.1 or one of the addresses that `ip addr` shows.',
  },
  snapshotInvalid: {
    when: 'A snapshot does not compile; the one in use stays.',
    advice: 'Run `tenfold check`; if it passes, report the snapshot as a bug.',
  },
  snapshotOld: {
    when: 'A snapshot is older than the one in use.',
    advice: 'Two supervisors push to one edge: stop one of them.',
  },
  controlBusy: {
    when: 'Another edge of the same state directory answers on the control socket.',
    advice: 'Use another --state directory, or stop the other system.',
  },
  canaryUnknown: {
    when: 'A canary is resumed or stopped on a route that does not exist or has none.',
    advice: 'Name a route as `tenfold canary` lists it.',
    status: 404,
  },
  certificateFile: {
    when: 'A file with a certificate, a key or authorities cannot be read.',
    advice:
      'Check the path in the system file, and that the user of the edge may read it; keys are best mode 0600 and its own.',
  },
  controlRequest: {
    when: 'A request on the control socket is malformed or unknown.',
    advice: 'Supervisor and edge are of different versions: restart the system.',
  },
})

export interface ClientFailure {
  readonly status: number
  /** Stable; in the body and the access log. */
  readonly code: string
  readonly text: string
}

const client = (status: number, code: string, text: string): ClientFailure => ({ status, code, text })

type ClientFailureName =
  | 'noRoute'
  | 'badPath'
  | 'methodNotAllowed'
  | 'bodyTooLarge'
  | 'badChunk'
  | 'headTimeout'
  | 'bodyTimeout'
  | 'bodyTooSlow'
  | 'loop'
  | 'noMember'
  | 'noRoom'
  | 'upgradeToHttp2'
  | 'busy'
  | 'waitedTooLong'
  | 'overloaded'
  | 'connectFailed'
  | 'connectionLost'
  | 'badResponse'
  | 'responseTimeout'
  | 'routeTimeout'
  | 'connectTimeout'
  | 'draining'
  | 'maintenance'
  | 'originNotAllowed'
  | 'noFile'
  | 'notAcceptable'
  | 'preconditionFailed'
  | 'rangeNotSatisfiable'
  | 'fileUnreadable'
  | 'filesBusy'
  | 'contentCodingUnknown'
  | 'contentCodingBad'
  | 'decodedTooLarge'
  | 'hookFailed'
  | 'hookLate'
  | 'hookBusy'
  | 'misdirected'
  | 'notStored'
  | 'holdsFull'
  | 'gateFailed'

/** What the edge itself answers, beside the codec's refusals (`wire/http1`). */
export const clientFailures: Readonly<Record<ClientFailureName, ClientFailure>> = {
  noRoute: client(404, 'no-route', 'Nothing is served at this address.'),
  badPath: client(400, 'bad-path', 'The path is malformed.'),
  methodNotAllowed: client(405, 'method-not-allowed', 'This method is not served here.'),
  bodyTooLarge: client(413, 'body-too-large', 'The request body is too large.'),
  badChunk: client(400, 'bad-chunk', 'The chunked request body is malformed.'),
  headTimeout: client(408, 'head-timeout', 'The request head did not arrive in time.'),
  bodyTimeout: client(408, 'body-timeout', 'The request body did not arrive in time.'),
  bodyTooSlow: client(408, 'body-too-slow', 'The request body came too slowly.'),
  loop: client(508, 'loop', 'The request has passed here before.'),
  noMember: client(503, 'no-instance', 'The service is not available at the moment.'),
  upgradeToHttp2: client(
    501,
    'upgrade-to-http2',
    'This service is reached over HTTP/2: connections to it cannot be upgraded.',
  ),
  noRoom: client(503, 'no-room', 'This server has no room for further connections.'),
  busy: client(503, 'busy', 'The service is busy.'),
  waitedTooLong: client(503, 'waited-too-long', 'The service is busy.'),
  overloaded: client(
    503,
    'overloaded',
    'The service has more to do than it can. Please try again in a moment.',
  ),
  connectFailed: client(502, 'instance-unreachable', 'The service could not be reached.'),
  connectionLost: client(502, 'instance-lost', 'The service did not answer.'),
  badResponse: client(502, 'bad-response', 'The service gave an answer that is not valid HTTP.'),
  responseTimeout: client(504, 'response-timeout', 'The service took too long to answer.'),
  routeTimeout: client(504, 'route-timeout', 'The request took too long.'),
  connectTimeout: client(504, 'connect-timeout', 'The service could not be reached in time.'),
  maintenance: client(503, 'maintenance', 'This site is under maintenance and will be back soon.'),
  originNotAllowed: client(
    403,
    'origin-not-allowed',
    'Pages of this origin may not send such requests here.',
  ),
  draining: client(503, 'draining', 'This server is shutting down.'),
  noFile: client(404, 'no-file', 'There is nothing at this address.'),
  notAcceptable: client(406, 'not-acceptable', 'This is not available in an encoding that the client takes.'),
  preconditionFailed: client(412, 'precondition-failed', 'A condition of the request does not hold.'),
  rangeNotSatisfiable: client(416, 'range-not-satisfiable', 'The file does not have this range.'),
  fileUnreadable: client(500, 'file-unreadable', 'The file could not be read.'),
  filesBusy: client(503, 'files-busy', 'Too many files are being sent at the moment.'),
  contentCodingUnknown: client(415, 'content-coding-unknown', 'The encoding of the body is not taken here.'),
  contentCodingBad: client(400, 'content-coding-bad', 'The body is not what its encoding says.'),
  hookFailed: client(502, 'hook-failed', 'The request could not be handled.'),
  hookLate: client(504, 'hook-late', 'The request could not be handled in time.'),
  misdirected: client(
    421,
    'misdirected',
    'This connection was made for another host: connect anew for this one.',
  ),
  notStored: client(504, 'not-stored', 'This is not stored here, and the client wants nobody else asked.'),
  hookBusy: client(503, 'hook-busy', 'The service is busy.'),
  holdsFull: client(503, 'holds-full', 'Too many request bodies are being looked at at the moment.'),
  gateFailed: client(503, 'gate-failed', 'Whether this may pass could not be decided.'),
  decodedTooLarge: client(413, 'decoded-too-large', 'The request body is too large when it is decoded.'),
}
