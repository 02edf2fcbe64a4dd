import { expect, test } from 'vitest';
import { visible } from '../../src/runtime/visible.ts';

test.for([
  ['an escape code that clears the screen', 'a\u001b[2Jb', String.raw`a\u001b[2Jb`],
  ['one that sets the title', '\u001b]0;owned\u0007', String.raw`\u001b]0;owned\u0007`],
  ['its old form in one character', '\u009b2J', String.raw`\u009b2J`],
  ['a carriage return, which would hide what stands before', 'bad\rgood', String.raw`bad\u000dgood`],
  ['what turns the direction of text', '\u202egnp', String.raw`\u202egnp`],
  ['what nobody sees', 'a\u{E0041}b', String.raw`a\udb40\udc41b`],
])('%s is escaped', ([, text = '', shown]) => {
  expect(visible(text)).toBe(shown);
});

test('line feeds, tabs, letters, emoji and our own colours stay', () => {
  const text = 'größe 表 👩‍👩‍👧\n\t\u001b[31mred\u001b[39m';
  expect(visible(text)).toBe(text);
});
