// The drop: 500 seats, 5,000 people, 20,000 bots, with the guard off and on. `node drop/run.ts --help` says how.

import { parseArgs } from 'node:util'
import { Crowd } from './crowd.ts'
import { type Run, tables } from './report.ts'
import { startShop } from './shop.ts'

const help = `Usage: node examples/boxoffice/drop/run.ts [options]

Sells out the premiere to a crowd on loopback addresses (127/8), with the guard off and then on, and prints who got seats.

Options:
  --scale <share>   Of 500 seats, 5,000 people and 20,000 bots: 0.01 to 1 (default: 0.1)
  --guard <which>   off, on or both (default: both)
  --seed <number>   Who comes when (default: 1)
  --json            Print JSON, for machines
  --help            Print this help
`

const { values } = parseArgs({
  options: {
    scale: { type: 'string', default: '0.1' },
    guard: { type: 'string', default: 'both' },
    seed: { type: 'string', default: '1' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})
const scale = Number(values.scale)
const guards = values.guard === 'both' ? (['off', 'on'] as const) : [values.guard]

function wrong(text: string): never {
  process.stderr.write(`${text}\n\n${help}`)
  process.exit(2)
}

/** The shop needs as long to come up. */
const startMs = 25_000
const queueMsMin = 25_000
/** So many newcomers a second sign in, look and line up. */
const newcomersPerSecond = 120
const endAfterMs = 240_000
const tellingMs = 12_000
const progressMs = 5_000

async function drop(guard: 'on' | 'off'): Promise<Run> {
  const seats = Math.round(500 * scale)
  const people = Math.round(5_000 * scale)
  const bots = Math.round(20_000 * scale)
  const queueMs = Math.max(queueMsMin, ((people + bots) / newcomersPerSecond) * 1_000)
  const opensAt = Math.ceil((Date.now() + startMs + queueMs) / 1_000) * 1_000
  const say = (text: string): boolean => process.stderr.write(`guard ${guard}  ${text}\n`)
  say(`${seats} seats, ${people} people, ${bots} bots; opens at ${new Date(opensAt).toISOString()}`)
  const admitPerMinute = Math.max(30, Math.round(600 * scale))
  const shop = await startShop({ guard, seats, opens: new Date(opensAt).toISOString(), admitPerMinute })
  const end = (): void => void shop.stop().then(() => process.exit(130))
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, end)
  try {
    const crowd = new Crowd({
      url: shop.url,
      people,
      bots,
      opensAt,
      lined: guard === 'on',
      seed: Number(values.seed),
      endAfterMs,
      tellingMs,
      onSoldOut: async () => {
        if (guard === 'on') await shop.tenfold('guard', 'rooms', 'premiere', 'sold-out')
      },
      onProgress: say,
      progressMs,
    })
    const outcome = await crowd.run()
    const [sold, most] = await shop.sql(
      `SELECT (SELECT count(*) FROM premiere_seats WHERE order_id IS NOT NULL), coalesce(max(seats), 0) FROM (SELECT count(*) AS seats FROM premiere_seats JOIN premiere_orders ON id = order_id GROUP BY account) AS held`,
    )
    return { guard, outcome, ledger: { stock: seats, sold: Number(sold), mostEach: Number(most) } }
  } finally {
    for (const signal of ['SIGINT', 'SIGTERM']) process.removeListener(signal, end)
    await shop.stop()
  }
}

if (values.help) process.stdout.write(help)
else {
  if (!(scale >= 0.01 && scale <= 1)) wrong('--scale is a share from 0.01 to 1')
  const runs: Run[] = []
  for (const guard of guards) {
    if (guard !== 'on' && guard !== 'off') wrong('--guard is off, on or both')
    runs.push(await drop(guard))
  }
  const text = values.json ? JSON.stringify({ scale, runs }) : `Scale ${scale}.\n\n${tables(runs)}`
  process.stdout.write(`${text}\n`)
}
