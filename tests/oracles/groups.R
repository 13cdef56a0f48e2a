# Rscript tests/oracles/groups.R
# Welch tests (t.test), corrections (p.adjust) over the panels of medians_unbalanced.csv, Gemma and Llama, to panels.csv;
# nested analysis of variance (aov) of nested.csv to nested_anova.csv.
here <- dirname(sub("--file=", "", grep("--file=", commandArgs(), value = TRUE)))
d <- read.csv(file.path(here, "medians_unbalanced.csv"))
rows <- NULL
for (category in sort(unique(d$category))) for (framing in c("positive", "negative")) {
  cell <- d[d$category == category & d$framing == framing, ]
  a <- cell$y[cell$family == "Gemma"]; b <- cell$y[cell$family == "Llama"]
  w <- t.test(b, a)
  pooled <- sqrt(((length(a) - 1) * var(a) + (length(b) - 1) * var(b)) / (length(a) + length(b) - 2))
  rows <- rbind(rows, data.frame(category, framing, difference = mean(b) - mean(a),
    cohens_d = (mean(b) - mean(a)) / pooled, cohens_d_unweighted = (mean(b) - mean(a)) / sqrt((var(a) + var(b)) / 2),
    welch_t = unname(w$statistic), welch_df = unname(w$parameter), welch_p = w$p.value,
    ci_low = w$conf.int[1], ci_high = w$conf.int[2]))
}
rows$p_bonferroni <- p.adjust(rows$welch_p, "bonferroni")
rows$p_holm <- p.adjust(rows$welch_p, "holm")
save <- function(x, file) {
  number <- sapply(x, is.double)
  x[number] <- lapply(x[number], function(v) trimws(formatC(v, digits = 14, format = "g")))
  write.csv(x, file.path(here, file), row.names = FALSE, quote = FALSE)
}
save(rows, "panels.csv")
n <- read.csv(file.path(here, "nested.csv"), stringsAsFactors = TRUE)
table <- anova(lm(y ~ family + base, n))
save(data.frame(source = rownames(table), df = table$Df, ms = table[["Mean Sq"]], f = table[["F value"]],
                p = table[["Pr(>F)"]]), "nested_anova.csv")
