// Text scenarios: commands, a line of dashes, and what they gave, in blocks apart by an empty line. A scenario is played
// against a rehearsal and compared with its own text; the test that plays it may write the new text instead.
//
//   # a comment stays as it is
//   fail a; advance 2s
//   ----
//   1.0 s  a: unhealthy: 2 probes failed

/** Plays one command and gives the lines it printed. Throws on a command it does not know. */
export type ScenarioPlayer = (command: string) => readonly string[]

/** The scenario's text with what its commands give now: equal to `text` when nothing has changed. */
export function playScenario(text: string, play: ScenarioPlayer): string {
  const blocks = text.trim().split(/\n{2,}/)
  return `${blocks.map(block => playBlock(block, play)).join('\n\n')}\n`
}

function playBlock(block: string, play: ScenarioPlayer): string {
  const lines = block.split('\n')
  const rule = lines.indexOf('----')
  const asked = rule < 0 ? lines : lines.slice(0, rule)
  const commands = asked
    .filter(line => !line.startsWith('#'))
    .flatMap(line => line.split(';'))
    .map(command => command.trim())
    .filter(command => command !== '')
  if (commands.length === 0) return asked.join('\n')
  return [...asked, '----', ...commands.flatMap(play)].join('\n')
}

/** `250ms`, `2s`, `1m` as microseconds. Throws on anything else. */
export function scenarioTimeUs(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m)$/.exec(text)
  if (match === null) throw new Error(`not a time: ${text} (250ms, 2s, 1m)`)
  return Number(match[1]) * { ms: 1_000, s: 1_000_000, m: 60_000_000 }[match[2] as 'ms' | 's' | 'm']
}

/** `12.3 s`, right-aligned, for the front of a line. */
export function scenarioStamp(us: number): string {
  return `${(us / 1_000_000).toFixed(1).padStart(5)} s`
}
