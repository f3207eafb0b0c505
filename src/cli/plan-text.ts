// What `tenfold plan` shows: a page that is read in a minute, and the explanation of single figures. Pure; judges nothing.

import { type Break, type Plan, type Quantity, valueText } from '../plan/index.ts'
import { tableLines } from './terminal.ts'

type Paint = (style: 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan', text: string) => string

const breaksShown = 5
const stepsShown = 7
const influencesShown = 4
/** Further away nobody plans. */
const timesShown = 1000
const barWidth = 20

export function planLines(plan: Plan, paint: Paint): string[] {
  const about = [
    `at ${valueText(figureValue(plan, 'load.peak') ?? 0, 'requests/s')} at the peak`,
    ...(plan.times === 1 ? [] : [`${plan.times} x today's load`]),
    ...(plan.growthYears === 0 ? [] : [`after ${plan.growthYears} years of growth`]),
  ]
  return [
    `${paint('bold', plan.name)}  ${about.join(', ')}`,
    '',
    ...factLines(plan, paint),
    ...unstableLines(plan, paint),
    ...haveLines(plan, paint),
    ...breakLines(plan, paint),
    ...stepLines(plan, paint),
    ...costLines(plan, paint),
    '',
    paint(
      'dim',
      'Ranges: each uncertain input moved alone, added in quadrature. What is not in the file is assumed.',
    ),
    paint(
      'dim',
      'tenfold plan --explain: every figure; --explain ID: its formula, what went in, and its source.',
    ),
  ]
}

const figureValue = (plan: Plan, id: string): number | null =>
  plan.quantities.find(one => one.id === id)?.value ?? null

/** The figures of the first page, where the system has them. */
const facts: readonly (readonly [string, readonly (readonly [string, string])[]])[] = [
  [
    'Load',
    [
      ['load.readsPerDay', 'reads'],
      ['load.writesPerDay', 'writes'],
      ['load.mean', 'in the mean'],
      ['load.peak', 'at the peak'],
      ['load.concurrency', 'under way at once'],
    ],
  ],
  [
    'Storage',
    [
      ['storage.perDay', 'new'],
      ['storage.perYear', 'in a year'],
      ['storage.mediaKept', 'of media kept'],
    ],
  ],
  [
    'Bandwidth',
    [
      ['bandwidth.out', 'to clients'],
      ['bandwidth.in', 'from clients'],
      ['bandwidth.origin', 'behind the edge'],
    ],
  ],
  [
    'Cache',
    [
      ['caches.edge.hits', 'answered by the edge'],
      ['caches.edge.memoryFor90', 'for 90 % of what it may keep'],
    ],
  ],
  ['Time', [['latency.mean', 'for an answer, in the mean at the peak']]],
  [
    'Availability',
    [
      ['availability.whole', 'of the time'],
      ['availability.downPerMonth', 'down in a month'],
      ['availability.allowedPerMonth', 'allowed by the target'],
    ],
  ],
]

function factLines(plan: Plan, paint: Paint): string[] {
  return facts.flatMap(([title, rows]) => {
    const shown = rows.flatMap(([id, text]) => {
      const found = plan.quantities.find(one => one.id === id)
      if (found === undefined || found.value === 0) return []
      if (found.value === null) return [`${text}: ${paint('red', 'none')}, see --explain ${id}`]
      return [`${paint('bold', valueText(found.value, found.unit, plan.prices.currency))} ${text}`]
    })
    return shown.length === 0 ? [] : [`${title.padEnd(13)}${shown.join(' · ')}`]
  })
}

function unstableLines(plan: Plan, paint: Paint): string[] {
  if (plan.unstable.length === 0) return []
  return [
    '',
    ...plan.unstable.map(
      ({ path, message }) =>
        `${paint('red', 'unstable:')}${message.slice('unstable:'.length)}  ${paint('dim', path)}`,
    ),
  ]
}

function haveLines(plan: Plan, paint: Paint): string[] {
  if (plan.has.length === 0) return []
  const rows = plan.has.map(({ what, has, needs, key }) => {
    const verdict =
      needs === null
        ? paint('red', 'no number is enough')
        : needs > has
          ? paint('red', 'too few')
          : paint('green', 'enough')
    return [`  ${what}`, String(has), needs === null ? '-' : String(needs), verdict, paint('dim', key)]
  })
  return [
    '',
    ...tableLines(
      [
        { title: paint('bold', 'Has and needs') },
        { title: 'has', align: 'right' },
        { title: 'needs', align: 'right' },
        { title: '' },
        { title: '' },
      ],
      rows,
    ),
  ]
}

function breakLines(plan: Plan, paint: Paint): string[] {
  const shown = plan.breaks.filter(one => one.at <= timesShown).slice(0, breaksShown)
  if (shown.length === 0) return []
  const rows = shown.map(one => {
    const filled = Math.max(0, Math.min(barWidth, Math.round(barWidth / Math.max(one.at, 1e-9))))
    const bar = `${'█'.repeat(filled)}${'░'.repeat(barWidth - filled)}`
    const colour = one.at <= 1 ? 'red' : one.at < 2 ? 'yellow' : 'green'
    return [
      `  ${paint(colour, bar)}`,
      `at ${valueText(one.at, 'times')}`,
      `${one.what}${whenText(plan, one)}`,
    ]
  })
  return [
    '',
    paint('bold', 'Breaks first, by how many times this peak'),
    ...tableLines([{ title: '' }, { title: '', align: 'right' }, { title: '' }], rows).slice(1),
  ]
}

/** When growth brings so much load. */
function whenText({ growthPerYear }: Plan, { at }: Pick<Break, 'at'>): string {
  if (at <= 1) return ' already'
  if (growthPerYear <= 0) return ''
  const years = Math.log(at) / Math.log1p(growthPerYear)
  if (years > 30) return ''
  return years < 1
    ? `, in ${Math.max(1, Math.round(years * 12))} months of this growth`
    : `, in ${Number(years.toPrecision(2))} years of this growth`
}

function stepLines(plan: Plan, paint: Paint): string[] {
  const shown = plan.growth.filter(one => one.at <= timesShown).slice(0, stepsShown)
  if (shown.length === 0) return []
  const rows = shown.map(one => [
    `  ${one.at <= 1 ? paint('yellow', 'now') : `from ${valueText(one.at, 'times')}`}`,
    `${one.what}: ${one.why}${one.at <= 1 ? '' : whenText(plan, one)}`,
  ])
  return [
    '',
    paint('bold', 'Next steps, none before it is needed'),
    ...tableLines([{ title: '' }, { title: '' }], rows).slice(1),
  ]
}

function costLines(plan: Plan, paint: Paint): string[] {
  const month = plan.quantities.find(one => one.id === 'cost.month')
  if (month?.value == null) return []
  const { currency, date } = plan.prices
  const money = (value: number): string => valueText(value, 'money', currency)
  const parts = plan.quantities
    .filter(
      one =>
        one.section === 'cost' &&
        one.value !== null &&
        one.value > 0 &&
        !['cost.month', 'cost.perMillion'].includes(one.id),
    )
    .toSorted((a, b) => (b.value as number) - (a.value as number))
  const most = Math.max(...parts.map(one => one.value as number))
  const range =
    month.low === null || month.high === null ? '' : `, between ${money(month.low)} and ${money(month.high)}`
  const perMillion = figureValue(plan, 'cost.perMillion')
  return [
    '',
    `${paint('bold', 'Cost a month')}  ${paint('bold', money(month.value))}${range}; ${perMillion === null ? '' : `${money(perMillion)} for a million requests; `}prices of ${date}`,
    ...tableLines(
      [{ title: '' }, { title: '', align: 'right' }, { title: '' }],
      parts
        .slice(0, 6)
        .map(one => [
          `  ${one.label}`,
          money(one.value as number),
          paint('cyan', '█'.repeat(Math.max(1, Math.round(((one.value as number) / most) * barWidth)))),
        ]),
    ).slice(1),
    ...(plan.influences.length === 0
      ? []
      : [
          `  depends most on ${plan.influences
            .slice(0, influencesShown)
            .map(
              one =>
                `${one.path} (${one.elasticity > 0 ? '+' : ''}${Number((one.elasticity * 10).toPrecision(2))} % for +10 %)`,
            )
            .join(', ')}`,
        ]),
  ]
}

/** Every figure in a line, by section. */
export function listLines(plan: Plan, paint: Paint): string[] {
  const sections = [...new Set(plan.quantities.map(one => one.section))]
  return sections.flatMap(section => [
    paint('bold', section),
    ...tableLines(
      [{ title: '' }, { title: '', align: 'right' }, { title: '' }],
      plan.quantities
        .filter(one => one.section === section)
        .map(one => [`  ${one.id}`, one.value === null ? paint('red', 'none') : shown(one, plan), one.label]),
    ).slice(1),
  ])
}

const shown = (one: Quantity, plan: Plan): string =>
  one.value === null ? 'none' : valueText(one.value, one.unit, plan.prices.currency)

/** One figure: its formula, what went in and where that comes from. */
export function explainLines(plan: Plan, one: Quantity, paint: Paint): string[] {
  const { currency } = plan.prices
  const range =
    one.low === null || one.high === null
      ? []
      : [`  range    ${valueText(one.low, one.unit, currency)} .. ${valueText(one.high, one.unit, currency)}`]
  const origin = ({ from }: Quantity['inputs'][number]): string =>
    from.kind === 'file'
      ? from.path
      : from.kind === 'figure'
        ? `figure ${from.path}`
        : `${from.kind === 'assumed' ? 'assumed' : from.kind}: ${from.path}`
  return [
    `${paint('bold', one.id)}  ${one.label}`,
    `  value    ${one.value === null ? `${paint('red', 'none')}: ${one.why ?? ''}` : `${paint('bold', shown(one, plan))}  ${paint('dim', `exactly ${one.value}`)}`}`,
    ...range,
    `  formula  ${one.formula}`,
    ...tableLines(
      [{ title: '' }, { title: '', align: 'right' }, { title: '' }],
      one.inputs.map(input => [
        `    ${input.name}`,
        input.value === null ? 'none' : valueText(input.value, input.unit, currency),
        paint('dim', origin(input)),
      ]),
    ).slice(1),
    ...(one.source === null ? [] : [`  source   ${one.source}`]),
  ]
}
