// Copies by another key as text for people. Pure but for the terminal's colours.

import { bytesText } from '../kit/duration.ts'
import type { CopiesView } from '../system/index.ts'
import type { Terminal } from './terminal.ts'

export function copiesText({ database, copies }: CopiesView, { paint }: Pick<Terminal, 'paint'>): string {
  if (copies.length === 0) return `${database}: the file says no \`copies\``
  return copies
    .flatMap(({ name, of, state, trouble, streams }) => {
      const behind = streams.reduce((most, one) => Math.max(most, one.lagBytes), 0)
      const lag = state === 'fresh' ? `, at most ${bytesText(behind)} behind` : ''
      const busy = streams.filter(one => one.state !== 'streaming')
      return [
        `tenfold_copies.${name} of ${of}: ${paint(state === 'fresh' ? 'green' : 'yellow', state)}${lag}`,
        ...(trouble === '' ? [] : [`  ${paint('yellow', trouble)}`]),
        ...busy.map(one => `  shard ${one.from} to ${one.into}: ${one.state}`),
      ]
    })
    .join('\n')
}
