// What the body of a function or of a DO block leaves behind in the session, by its words: it runs where the parser does not
// see it. Looks for beginnings of statements and for calls, also inside texts that are put together for EXECUTE.

import { type PinReason, pinBit } from './contract.ts'

/** SET and its kin where a statement can begin. SET LOCAL and set_config(..., true) end with the transaction. */
const begins = String.raw`(?:^|;|\bbegin\b|\bthen\b|\bloop\b|\belse\b|'|\$\w*\$)\s*(?:--[^\n]*\n\s*)*`
const setting = new RegExp(
  `${begins}(?:set\\s+(?!local\\b|transaction\\b|constraints\\b)|reset\\s|discard\\s)`,
  'i',
)
const localConfig = /\bset_config\s*\((?:[^()]|\([^()]*\))*,\s*(?:true|is_local\s*=>\s*true)\s*\)/gi

const signs: readonly (readonly [PinReason, RegExp])[] = [
  ['setting', setting],
  ['setting', /\bset_config\s*\(/i],
  ['advisory-lock', /\bpg_(?:try_)?advisory_lock/i],
  ['listen', new RegExp(`${begins}listen\\s`, 'i')],
  ['load', new RegExp(`${begins}load\\s`, 'i')],
  ['random-seed', /\bsetseed\s*\(/i],
  ['unknown', /\bdblink_connect|\bpg_replication_origin_session_setup/i],
]
const temporary = /\b(?:create|into)\s+(?:(?:local|global)\s+)?temp(?:orary)?\b|\bpg_temp\./i
const dropped = /\bon\s+commit\s+drop\b/i

/** Bits of pins. */
export function leftBehind(body: string): number {
  const source = body.replace(localConfig, ' ')
  let pins = 0
  for (const [reason, sign] of signs) if (sign.test(source)) pins |= pinBit(reason)
  if (temporary.test(source) && !dropped.test(source)) pins |= pinBit('temp-table')
  return pins
}
