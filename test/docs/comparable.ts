/** Output of two machines, made equal but for what it says: line breaks and numbers differ. */
export const comparable = (text: string): string =>
  text
    .replaceAll(/\s+/g, ' ')
    .replaceAll(/\d[\d.,]*/g, '#')
    .trim();
