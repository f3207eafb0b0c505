// For tests: which processes of this machine listen on a TCP port. A port that was the kernel's choice may be somebody
// else's a moment after it is free, a listener's or one end of a connection, so that trying to listen on it says nothing.

import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

const listenState = '0A'

export interface ListeningProcess {
  readonly pid: number
  /** All that says where it comes from: directory, command line, environment. */
  readonly origin: string
}

export function listenersOn(port: number): ListeningProcess[] {
  const inodes = new Set(['/proc/net/tcp', '/proc/net/tcp6'].flatMap(file => inodesOf(file, port)))
  if (inodes.size === 0) return []
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name) && holdsOneOf(name, inodes))
    .map(name => ({ pid: Number(name), origin: originOf(name) }))
}

/** proc(5): the local address is field 1 (`0100007F:1F90`), the state field 3, the inode field 9. */
function inodesOf(file: string, port: number): string[] {
  const wanted = port.toString(16).toUpperCase().padStart(4, '0')
  return readFileSync(file, 'utf8')
    .split('\n')
    .slice(1)
    .map(line => line.trim().split(/\s+/))
    .filter(fields => fields[3] === listenState && fields[1]?.split(':')[1] === wanted)
    .map(fields => fields[9] as string)
}

function holdsOneOf(pid: string, inodes: ReadonlySet<string>): boolean {
  try {
    return readdirSync(`/proc/${pid}/fd`).some(fd => {
      try {
        return inodes.has(/^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? '')
      } catch {
        return false
      }
    })
  } catch {
    // It has ended meanwhile.
    return false
  }
}

function originOf(pid: string): string {
  const parts = [
    () => readlinkSync(`/proc/${pid}/cwd`),
    () => readFileSync(`/proc/${pid}/cmdline`, 'utf8'),
    () => readFileSync(`/proc/${pid}/environ`, 'utf8'),
  ]
  return parts
    .map(part => {
      try {
        return part()
      } catch {
        return ''
      }
    })
    .join('\n')
}
