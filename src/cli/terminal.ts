// The terminal: plain text out, colour and a live line only where a person looks. Owns what is on the last line; knows
// nothing of what the text means.

import { stripVTControlCharacters, styleText } from 'node:util'

export type Style = 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan'

export interface Terminal {
  /** A person looks at standard output. */
  readonly interactive: boolean
  /** Of a line; 0 when unbounded (a file, a pipe). */
  readonly columns: number
  /** Line or lines on standard output. */
  print(text: string): void
  /** On standard error. */
  complain(text: string): void
  /** Rewrites the last line until the next `live`; null ends it. Without effect where nobody looks. */
  live(text: string | null): void
  /** Replaces all that is on the screen. */
  redraw(text: string): void
  paint(style: Style, text: string): string
  /** A line that the person types; null: nobody is there to be asked. */
  ask(question: string): Promise<string | null>
}

const frames = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏']
const frameMs = 100

export function createTerminal(
  out: NodeJS.WriteStream = process.stdout,
  error: NodeJS.WriteStream = process.stderr,
): Terminal {
  const interactive = out.isTTY === true
  // A reader that went away (`tenfold up | head`) must not end a supervisor.
  for (const stream of [out, error]) stream.on('error', () => {})
  let live: string | null = null
  let frame = 0
  let timer: NodeJS.Timeout | null = null

  // Some terminals say 0.
  const widthOfTerminal = (): number => out.columns || 80
  const clear = (): string => (live === null ? '' : '\r\u001b[K')
  function draw(): void {
    if (live === null) return
    frame = (frame + 1) % frames.length
    out.write(`\r\u001b[K${cutTo(`${frames[frame]} ${live}`, widthOfTerminal())}`)
  }

  return {
    interactive,
    get columns() {
      return interactive ? widthOfTerminal() : 0
    },
    print: text => {
      out.write(`${clear()}${text}\n`)
      draw()
    },
    complain: text => {
      if (live !== null) out.write(clear())
      error.write(`${text}\n`)
      draw()
    },
    live: text => {
      if (!interactive) return
      if (text === null) out.write(clear())
      live = text
      if (text === null) {
        clearInterval(timer ?? undefined)
        timer = null
        return
      }
      draw()
      timer ??= setInterval(draw, frameMs)
      timer.unref()
    },
    redraw: text => {
      out.write(`\u001b[H\u001b[J${text}\n`)
    },
    // The stream decides: no colour into a pipe, none with NO_COLOR, and FORCE_COLOR is obeyed.
    paint: (style, text) => styleText(style, text, { stream: out }),
    ask: question => (interactive && process.stdin.isTTY ? answerTo(question, out) : Promise.resolve(null)),
  }
}

/** Ctrl-C and the end of the input are no answer. */
async function answerTo(question: string, out: NodeJS.WriteStream): Promise<string | null> {
  const { createInterface } = await import('node:readline')
  return new Promise(resolve => {
    const lines = createInterface({ input: process.stdin, output: out })
    lines.question(question, answer => {
      resolve(answer.trim())
      lines.close()
    })
    lines.once('close', () => resolve(null))
  })
}

/** For lines without colours. */
function cutTo(text: string, columns: number): string {
  return text.length <= columns ? text : `${text.slice(0, Math.max(1, columns - 1))}…`
}

export interface Column {
  readonly title: string
  readonly align?: 'left' | 'right'
}

/** Columns as wide as their widest cell; cells may be coloured. The last column is not padded. */
export function tableLines(columns: readonly Column[], rows: readonly (readonly string[])[]): string[] {
  const all = [columns.map(column => column.title), ...rows]
  const widths = columns.map((_, index) => Math.max(...all.map(row => widthOf(row[index] ?? ''))))
  return all.map(row =>
    columns
      .map((column, index) => {
        const cell = row[index] ?? ''
        const space = ' '.repeat((widths[index] ?? 0) - widthOf(cell))
        if (column.align === 'right') return space + cell
        return index === columns.length - 1 ? cell : cell + space
      })
      .join('  ')
      .trimEnd(),
  )
}

const widthOf = (text: string): number => stripVTControlCharacters(text).length
