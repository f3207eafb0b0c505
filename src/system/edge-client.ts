// The supervisor's end of the edge's control socket. Owns nothing of the edge's process; that is edge-process.ts.

import type { CacheMethods, ControlEvent, ControlMethods } from '../edge/control-protocol.ts'
import { edgeFailures } from '../edge/failures.ts'
import { ioFailures } from '../io/failures.ts'
import { type ControlSocket, type ControlSocketUser, connectControl } from './control-socket.ts'
import { systemFailures } from './failures.ts'

type EdgeMethods = ControlMethods & CacheMethods

/** Rejects with SYSTEM_EDGE_UNREACHABLE, SYSTEM_EDGE_FAILED, or the code of what was asked wrongly. */
export type EdgeClient = ControlSocket<EdgeMethods>
export type EdgeClientUser = ControlSocketUser<ControlEvent>

const peer = {
  name: 'The edge',
  unreachable: systemFailures.edgeUnreachable,
  failed: systemFailures.edgeFailed,
  known: [...Object.values(edgeFailures), ...Object.values(ioFailures)],
}

export function connectEdge(path: string, user: EdgeClientUser): Promise<EdgeClient> {
  return connectControl<EdgeMethods, ControlEvent>(path, peer, user)
}
