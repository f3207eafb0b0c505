// What stands in files that the system file names for the edge, judged before anything is started: pairs of certificate and
// key, what a hook module exports. Gives sentences; keeps no key. The edge judges certificates again when it takes them.

import { readFileSync } from 'node:fs'
import { type CertificateFacts, checkAuthorities, checkPair } from '../io/tls-certificate.ts'

const dayMs = 86_400_000

/** Throws a Failure unless the two belong together. @param where Names them in it. */
export function readPair(certFile: string, keyFile: string, where: string): CertificateFacts {
  return checkPair(readFileSync(certFile, 'utf8'), readFileSync(keyFile, 'utf8'), where)
}

export function readAuthorities(file: string, where: string): void {
  checkAuthorities(readFileSync(file, 'utf8'), where)
}

/** Sentences that complete "CERTIFICATE ...": none of them is a reason not to serve. */
export function doubtsAbout(facts: CertificateFacts, hosts: readonly string[], nowMs: number): string[] {
  const day = (ms: number): string => new Date(ms).toISOString().slice(0, 10)
  const doubts: string[] = []
  if (facts.notAfter <= nowMs) doubts.push(`has expired on ${day(facts.notAfter)}: clients will refuse it`)
  else if (facts.notAfter - nowMs < 7 * dayMs) doubts.push(`ends on ${day(facts.notAfter)}`)
  if (facts.notBefore > nowMs) doubts.push(`is valid from ${day(facts.notBefore)} on only`)
  const others = hosts.filter(host => !names(facts, host))
  if (others.length > 0)
    doubts.push(`is not for ${others.join(', ')}, but for ${facts.names.join(', ') || 'no host at all'}`)
  return doubts
}

/** RFC 6125 6.4.3: a star stands for one whole label, the first. */
function names(facts: CertificateFacts, host: string): boolean {
  const wide = host.replace(/^[^.]+/, '*')
  return facts.names.includes(host) || facts.names.includes(wide)
}

/** Can the module export a function of this name? Only a sure "no" is one: what it re-exports is not followed. */
export function mayExport(text: string, name: string): boolean {
  if (/\bexport\s*\*|\bexports\b/.test(text)) return true
  return new RegExp(`(?<![\\w$])${name.replaceAll('$', '\\$')}(?![\\w$])`).test(text)
}
