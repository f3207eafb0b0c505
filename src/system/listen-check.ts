// Are the ports that the edge will listen on free? Asked before anything is started, so that a taken one is a sentence
// and not a process that dies. Nothing is held: the edge notices for itself when another program was faster.

import { edgeFailures } from '../edge/index.ts'
import type { CheckedListener } from '../file/index.ts'
import { type PortTrouble, portTrouble, udpPortTrouble } from '../io/port-check.ts'
import { Failure, type FailureKind } from '../kit/failure.ts'
import { systemFailures } from './failures.ts'

interface Trouble extends PortTrouble {
  /** `0.0.0.0:80 (listener http)`. */
  readonly place: string
}

/** Throws what `listenRefusal` says of every listener that has trouble. */
export async function checkListenPorts(listeners: readonly CheckedListener[]): Promise<void> {
  const troubles: Trouble[] = []
  for (const { id, kind, host, port } of listeners) {
    const look = kind === 'udp' ? udpPortTrouble : portTrouble
    const trouble = await look(host, port)
    if (trouble !== null) troubles.push({ ...trouble, place: `${host}:${port} (listener ${id})` })
  }
  if (troubles.length > 0) throw listenRefusal(troubles)
}

const others: Readonly<Partial<Record<PortTrouble['kind'], FailureKind>>> = {
  forbidden: edgeFailures.portForbidden,
  'no-address': edgeFailures.addressUnknown,
}

/** Names all of them; code and remedy are the first one's. */
export function listenRefusal(troubles: readonly Trouble[]): Failure {
  const sentence = `The edge cannot listen: ${troubles.map(({ place, reason }) => `${place} ${reason}`).join('; ')}.`
  const kind = troubles[0] && others[troubles[0].kind]
  if (kind) return new Failure(kind, sentence)
  return new Failure(systemFailures.portTaken, sentence, {
    details: {
      remedy: 'End what holds the port, or change `edge.listen` in the file; 0 means any free port.',
    },
  })
}
