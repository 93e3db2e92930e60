import './style.css';

// The default theme brings a font of 1 MB: this one has those of the system.
export { default } from 'vitepress/theme-without-fonts';
