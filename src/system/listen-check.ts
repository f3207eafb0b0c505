// Are the ports that the edge will listen on free? Asked before anything is started, so that a taken one is a sentence
// and not a process that dies. Nothing is held: the edge notices for itself when another program was faster.

import type { CheckedListener } from '../file/index.ts'
import { portTrouble, udpPortTrouble } from '../io/port-check.ts'
import { Failure } from '../kit/failure.ts'
import { systemFailures } from './failures.ts'

/** Throws SYSTEM_PORT_TAKEN, which names every listener that has trouble. */
export async function checkListenPorts(listeners: readonly CheckedListener[]): Promise<void> {
  const troubles: string[] = []
  for (const { id, kind, host, port } of listeners) {
    const look = kind === 'udp' ? udpPortTrouble : portTrouble
    const trouble = await look(host, port)
    if (trouble !== null) troubles.push(`${host}:${port} (listener ${id}) ${trouble.reason}`)
  }
  if (troubles.length === 0) return
  throw new Failure(systemFailures.portTaken, `The edge cannot listen: ${troubles.join('; ')}.`, {
    details: {
      remedy: 'End what holds the port, or change `edge.listen` in the file; 0 means any free port.',
    },
  })
}
