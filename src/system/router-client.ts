// The supervisor's end of the database router's control socket. Owns nothing of its process; that is router-process.ts.

import { databaseFailures } from '../database/failures.ts'
import type { RouterControlEvent, RouterControlMethods } from '../database/router/control-protocol.ts'
import { ioFailures } from '../io/failures.ts'
import { type ControlSocket, type ControlSocketUser, connectControl } from './control-socket.ts'
import { systemFailures } from './failures.ts'

/** Rejects with SYSTEM_ROUTER_UNREACHABLE, SYSTEM_ROUTER_FAILED, or the code of what was asked wrongly. */
export type RouterClient = ControlSocket<RouterControlMethods>
export type RouterClientUser = ControlSocketUser<RouterControlEvent>

const peer = {
  name: 'The database router',
  unreachable: systemFailures.routerUnreachable,
  failed: systemFailures.routerFailed,
  known: [...Object.values(databaseFailures), ...Object.values(ioFailures)],
}

export function connectRouter(path: string, user: RouterClientUser): Promise<RouterClient> {
  return connectControl<RouterControlMethods, RouterControlEvent>(path, peer, user)
}
