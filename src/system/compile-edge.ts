// Checked system and members -> the edge's snapshot. Pure: the same arguments give the same snapshot, so a reload can be
// compared with what runs. Owns what the snapshot adds to the file: members, version, the sticky key, absolute paths.

import { isAbsolute, join } from 'node:path'
import { type EdgeSnapshot, type MemberSpec, snapshotFormat } from '../edge/snapshot.ts'
import type { CheckedService, CheckedSystem } from '../file/index.ts'

export interface CompileContext {
  readonly version: number
  /** Members by service, in the order the fleet publishes them; a service without an entry has none yet. */
  readonly members: ReadonlyMap<string, readonly MemberSpec[]>
  /** Base64; signs sticky cookies. */
  readonly stickySecret: string
  /** Absolute: the access log's default place. */
  readonly stateDirectory: string
  /** Absolute: the folder of the system file, from which its paths are meant. */
  readonly baseDirectory: string
}

export function compileEdge(system: CheckedSystem, context: CompileContext): EdgeSnapshot {
  const { edge } = system
  return {
    format: snapshotFormat,
    version: context.version,
    name: system.name,
    listeners: edge.listeners,
    trustedProxies: edge.trustedProxies,
    forwarded: edge.forwarded,
    limits: edge.limits,
    accessLog: edge.accessLog === null ? null : { file: accessLogFile(edge.accessLog.file, context) },
    routes: edge.routes,
    upstreams: Object.values(system.services).map(service => ({
      name: service.name,
      members: (context.members.get(service.name) ?? []).map(member => weighted(service, member)),
      ...service.upstream,
    })),
    stickySecret: context.stickySecret,
  }
}

function accessLogFile(file: string | null, context: CompileContext): string {
  if (file === null) return join(context.stateDirectory, 'logs', 'access.log')
  return isAbsolute(file) ? file : join(context.baseDirectory, file)
}

/** The file gives weights by member id; members of `addresses` come with theirs. */
function weighted(service: CheckedService, member: MemberSpec): MemberSpec {
  if (service.kind !== 'command') return member
  const weight = service.weights[member.id]
  return weight === undefined ? member : { ...member, weight }
}
