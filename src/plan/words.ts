// Figures for people: three digits, thousands and powers of ten in words (`~1.2 million/s`), bytes in powers of 1000.

import type { Unit } from './quantity.ts'

/** Three digits; `1,230`, `1.2 million`, `3.4e15`. */
export function digits(value: number): string {
  const size = Math.abs(value)
  if (size === 0) return '0'
  for (const [from, word] of [
    [1e15, ''],
    [1e12, ' trillion'],
    [1e9, ' billion'],
    [1e6, ' million'],
  ] as const)
    if (size >= from * 0.9995)
      return word === '' ? value.toExponential(2).replace('e+', 'e') : `${three(value / from)}${word}`
  if (size >= 999.5) return String(Number(value.toPrecision(3))).replace(/\B(?=(\d{3})+$)/g, ',')
  return size < 0.001 ? value.toExponential(1) : three(value)
}

const three = (value: number): string => String(Number(value.toPrecision(3)))

const byteUnits = ['B', 'kB', 'MB', 'GB', 'TB', 'PB', 'EB'] as const
const bitUnits = ['bit/s', 'kbit/s', 'Mbit/s', 'Gbit/s', 'Tbit/s', 'Pbit/s'] as const

function scaled(value: number, units: readonly string[]): string {
  const at = Math.max(0, Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, value * 1.0005)) / 3)))
  return `${three(value / 1000 ** at)} ${units[at]}`
}

/** `0.25 ms`, `43.2 min`. @param seconds of time */
export function timeText(seconds: number): string {
  for (const [length, unit] of [
    [31_557_600, 'years'],
    [86_400, 'days'],
    [3600, 'h'],
    [60, 'min'],
    [1, 's'],
    [0.001, 'ms'],
  ] as const)
    if (seconds >= length * 1.5 || (length <= 1 && seconds >= length))
      return `${three(seconds / length)} ${unit}`
  return seconds === 0 ? '0 s' : `${three(seconds * 1e6)} us`
}

/** With as many nines as there are, and two digits of what is missing. */
export function availabilityText(share: number): string {
  const down = 1 - share
  if (down <= 1e-14) return '100 %'
  const places = Math.min(12, Math.max(1, Math.ceil(-Math.log10(down))))
  return `${Number((share * 100).toFixed(places))} %`
}

/** A whole count is shown whole. */
export function valueText(value: number, unit: Unit, currency = ''): string {
  switch (unit) {
    case 'requests/day':
      return `${digits(value)} a day`
    case 'requests/s':
    case 'statements/s':
      return `${digits(value)}/s`
    case 'bytes':
      return scaled(value, byteUnits)
    case 'bytes/day':
      return `${scaled(value, byteUnits)} a day`
    case 'bits/s':
      return scaled(value, bitUnits)
    case 'cores':
      return `${digits(value)} cores`
    case 'seconds':
      return timeText(value)
    case 'share':
      return `${three(value * 100)} %`
    case 'availability':
      return availabilityText(value)
    case 'years':
      return `${digits(value)} years`
    case 'money':
      return `${digits(value)} ${currency}`.trimEnd()
    case 'times':
      return `${digits(value)} x`
    case 'count':
      return digits(value)
  }
}
