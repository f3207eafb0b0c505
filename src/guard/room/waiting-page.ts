// The page of a waiting room, and the texts on it. Works without JavaScript (it asks again by itself), loads nothing from
// anywhere, and is read well by a screen reader. Everything that comes from outside is escaped. Text in, text out.

import type { RoomAnswer } from '../../policy/room/index.ts'
import { roomWords } from './failures.ts'

export interface PageFacts {
  readonly title: string
  readonly answer: RoomAnswer
  readonly opensAtMs: number
  readonly nowMs: number
  readonly askAgainMs: number
  /** Path below which the room's own answers are. */
  readonly base: string
  readonly nonce: string
  readonly requestId: string
  readonly graceMs: number
  /** SHA-256 of the lottery's seed; '' without one. */
  readonly commitment: string
  /** The person's code in the lottery. */
  readonly code: string
  /** Path to go on at, for what can't be loaded again (a form); '' = this address. */
  readonly to: string
  /** Path at which one signs in; '' = not told. */
  readonly signIn: string
}

const escapes: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, character => escapes[character] as string)
}

/** `about 3 minutes`; a wait is never told shorter than it is thought to be. */
export function durationText(ms: number): string {
  if (ms < 0) return 'not known'
  if (ms < 60_000) return 'less than a minute'
  const minutes = Math.ceil(ms / 60_000)
  if (minutes < 100) return `about ${minutes} ${minutes === 1 ? 'minute' : 'minutes'}`
  const hours = Math.ceil(minutes / 30) / 2
  return `about ${hours} hours`
}

export function positionText(answer: RoomAnswer): string {
  return answer.ahead < 0 ? 'not known yet' : String(answer.ahead + 1)
}

export function estimateText({ answer, opensAtMs, nowMs }: PageFacts): string {
  if (answer.state === 'early' || answer.state === 'before')
    return `opens in ${durationText(Math.max(0, opensAtMs - nowMs))}`
  return durationText(answer.estimateMs)
}

/** What happens next, in a sentence. */
export function nextText({ answer, graceMs }: PageFacts): string {
  const kept = `Keep this page open. If you lose the connection or close it, your place is kept for ${graceText(graceMs)}.`
  if (answer.state === 'waiting') return `You are let in automatically when it is your turn. ${kept}`
  if (answer.state === 'early') return `This page goes on automatically when it opens. ${kept}`
  if (answer.state === 'before') return 'This page lines you up automatically when the line begins.'
  if (answer.state === 'granted') return 'You are going in.'
  return ''
}

/** Never more than it is. */
function graceText(ms: number): string {
  if (ms < 120_000) return `${Math.floor(ms / 1_000)} seconds`
  return `${Math.floor(ms / 60_000)} minutes`
}

const stays = new Set(['waiting', 'early', 'before', 'granted', 'closed', 'away', 'full'])

/** UTF-8 as Latin-1 text, as the edge writes bodies. */
export const bodyOf = (html: string): string => Buffer.from(html, 'utf8').latin1Slice()

/** An operator's page, with its placeholders filled in. */
export function ownPage(html: string, facts: PageFacts): string {
  const values: Readonly<Record<string, string>> = {
    position: positionText(facts.answer),
    estimate: estimateText(facts),
    title: facts.title,
    message: roomWords[facts.answer.state as keyof typeof roomWords]?.text ?? '',
  }
  return html.replace(/\{(position|estimate|title|message)\}/g, (_, name: string) =>
    escapeHtml(values[name] ?? ''),
  )
}

export function waitingPage(facts: PageFacts): string {
  const { answer, nonce } = facts
  const { text } = roomWords[answer.state as keyof typeof roomWords]
  const inLine = answer.state === 'waiting' || answer.state === 'early'
  const seconds = Math.max(1, Math.ceil(facts.askAgainMs / 1_000))
  const refresh = stays.has(answer.state)
    ? `<noscript><meta http-equiv="refresh" content="${seconds}${facts.to === '' ? '' : `;url=${escapeHtml(facts.to)}`}"></noscript>`
    : ''
  const figures = inLine
    ? `<dl><div><dt>Your place</dt><dd id="place">${escapeHtml(positionText(answer))}</dd></div><div><dt>Your wait</dt><dd id="wait">${escapeHtml(estimateText(facts))}</dd></div></dl><div class="bar" aria-hidden="true"><i></i></div>`
    : ''
  const again = stays.has(answer.state) ? '' : wayOn(facts)
  const draw =
    facts.commitment === '' || !inLine
      ? ''
      : `<details><summary>How the order is drawn</summary><p>Everybody who is here when it opens is drawn; tabs, devices and early arrival win nothing. Your code is <code>${escapeHtml(facts.code)}</code>. The draw was fixed before by this number, and its seed is published after it, so that anybody can check it: <code>${facts.commitment}</code></p></details>`
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>${escapeHtml(facts.title)}</title>
${refresh}
<style nonce="${nonce}">${style}</style>
</head>
<body>
<main>
<h1>${escapeHtml(facts.title)}</h1>
<p id="said" role="status">${escapeHtml(text)}</p>
${figures}
<p id="next">${escapeHtml(nextText(facts))}</p>
${again}${draw}
<footer>Request ${escapeHtml(facts.requestId)}</footer>
</main>
${stays.has(answer.state) ? `<script nonce="${nonce}">${script(facts.base, facts.askAgainMs, answer.state, facts.to)}</script>` : ''}
</body>
</html>
`
}

function wayOn({ answer, signIn, to }: PageFacts): string {
  if (answer.state === 'person' && signIn !== '') return `<p><a href="${escapeHtml(signIn)}">Sign in</a></p>`
  // The place that they had is forgotten with this answer: the next load is a new one.
  const lost = answer.state === 'gone' || answer.state === 'used' || answer.state === 'moved'
  return to === ''
    ? `<p><a href="">${lost ? 'Line up again' : 'Try again'}</a></p>`
    : `<p><a href="${escapeHtml(to)}">Back to where you were</a></p>`
}

const style = `:root{color-scheme:light dark;--back:#f6f7f9;--card:#fff;--text:#16191d;--soft:#565d66;--line:#dfe3e8;--main:#2456c9}
@media (prefers-color-scheme:dark){:root{--back:#101317;--card:#191d23;--text:#eef1f4;--soft:#a7b0ba;--line:#2c333b;--main:#86aaff}}
*{box-sizing:border-box}body{margin:0;min-height:100vh;display:grid;place-items:center;padding:1.5rem;background:var(--back);color:var(--text);font:1.0625rem/1.55 system-ui,sans-serif}
main{width:100%;max-width:34rem;background:var(--card);border:1px solid var(--line);border-radius:1rem;padding:2rem}
h1{margin:0 0 .75rem;font-size:1.6rem;line-height:1.25;text-wrap:balance}p{margin:.5rem 0}a{color:var(--main)}
dl{display:flex;flex-wrap:wrap;gap:1rem 2.5rem;margin:1.5rem 0 1rem}dl div{flex:1 1 auto}dl div:first-child{flex:0 1 auto}dt{color:var(--soft);font-size:.9rem}dd{margin:0;font-size:1.4rem;font-weight:650;font-variant-numeric:tabular-nums}
.bar{height:.4rem;border-radius:1rem;background:var(--line);overflow:hidden;margin-bottom:1.25rem}.bar i{display:block;height:100%;width:30%;border-radius:1rem;background:var(--main);animation:go 2.4s ease-in-out infinite alternate}
@keyframes go{from{margin-left:0}to{margin-left:70%}}@media (prefers-reduced-motion:reduce){.bar i{animation:none;width:100%}}
details{margin-top:1rem;color:var(--soft)}summary{cursor:pointer}code{overflow-wrap:anywhere;font-size:.85em}
footer{margin-top:1.75rem;padding-top:1rem;border-top:1px solid var(--line);color:var(--soft);font-size:.8rem;overflow-wrap:anywhere}`

/** Asks when it is told to, shows what has changed, and goes in. Who is near the front is told at once (events). */
const script = (base: string, firstMs: number, state: string, to: string): string => `(()=>{
const base=${JSON.stringify(base)},to=${JSON.stringify(to).replaceAll('<', '\\u003c')};let state=${JSON.stringify(state)},events=null;
const put=(id,text)=>{const at=document.getElementById(id);if(at&&text!==undefined&&at.textContent!==text)at.textContent=text};
const again=ms=>setTimeout(ask,ms);
const show=now=>{put('place',now.positionText);put('wait',now.estimateText);
if(now.state!=='waiting'&&now.state!=='early'&&now.state!=='before'||now.state!==state){if(to)location.replace(to);else location.reload();return false}
state=now.state;put('said',now.message);put('next',now.nextText);return true};
const listen=()=>{events=new EventSource(base+'/events');events.onmessage=one=>{const now=JSON.parse(one.data);if(!show(now))events.close()};
events.onerror=()=>{events.close();events=null;again(5000)}};
async function ask(){try{const answer=await fetch(base+'/status',{cache:'no-store',headers:{accept:'application/json'}});
const now=await answer.json();if(!show(now.room))return;if(now.room.events&&window.EventSource){listen();return}again(now.room.retryAfterMs)}catch{again(10000)}}
addEventListener('pagehide',()=>{if(events)events.close()});
if(!navigator.cookieEnabled)put('said','Please allow cookies for this site: your place is kept in one.');
again(${Math.round(firstMs)})})()`
